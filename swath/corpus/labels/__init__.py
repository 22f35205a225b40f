"""Classes: what is learnt from a corpus's labels (`target`), and the colours that they are shown in (`colours`)."""
