"""What a run leaves for people: the HTML report, and tables for the documents."""
