"""What a task reads: labelled locations, their pixels, and features of these."""
