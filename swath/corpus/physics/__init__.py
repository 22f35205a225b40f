"""What the ground, plants, clouds and radar look like: shared by the synthetic landscape, the checks and painting."""
