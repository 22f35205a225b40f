"""MAE: from a quarter of its patches a decoder says what the rest of the image is.

He et al. 2022, https://arxiv.org/abs/2111.06377; defaults of the official code with `--norm_pix_loss`. Published on
ImageNet: AdamW, betas 0.9 and 0.95, lr 1.5e-4 (x batch / 256), weight decay 0.05, batch 4096, 800 epochs, 40 of them
warm-up, half a cosine; crops with a scale of (0.2, 1) and horizontal flips alone. The view policy is one-crop.
"""

from typing import Literal

from swath.methods import _autoencoder


class Config(_autoencoder.Config):
    """MAE (He et al. 2022): most patches are hidden, and their pixels are filled in from the others."""

    name: Literal["mae"] = "mae"  # pyright: ignore[reportIncompatibleVariableOverride]


class Method(_autoencoder.Autoencoder):
    """MAE on any encoder with tokens. What is compared are standardised pixels, all bands of a patch together."""
