"""The parts of the synthetic landscape; `synth.py` puts them together."""
