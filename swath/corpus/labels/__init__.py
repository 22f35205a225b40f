"""Classes: what is learnt from a corpus's labels, and the colours that they are shown in."""
