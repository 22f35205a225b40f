import numpy as np
import torch

from swath import encoders
from swath.encoders.image_statistics import Config


def test_statistics_are_numpys_over_valid_pixels(contract, image):
    made, batch = contract(), image(b=3)
    embedding = encoders.build(Config(), made).embed(batch, trusted=True).numpy()
    for row, pixels, valid in zip(
        embedding, batch.pixels[:, 0].double().numpy(), batch.valid[:, 0].numpy(), strict=True
    ):
        seen = [(channel[valid] - m) / s for channel, m, s in zip(pixels, made.mean, made.std, strict=True)]
        expected = np.concatenate([[f(values) for values in seen] for f in (np.mean, np.std, np.min, np.max)])
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)


def test_permuted_free_channels_permute_the_statistics(contract, image):
    encoder, batch, order = encoders.build(Config(), contract(fixed=False)), image(), [2, 0, 1]
    straight = encoder.embed(batch, trusted=True).unflatten(1, (4, 3))
    torch.testing.assert_close(
        encoder.embed(batch.channels(order), trusted=True).unflatten(1, (4, 3)), straight[:, :, order]
    )


def test_a_constant_picture_has_no_deviation_and_no_valid_pixel_gives_zero(contract, image):
    encoder, batch = encoders.build(Config(), contract()), image(b=2, px=4)
    batch.pixels[0] = 0.0
    batch.valid[1] = False
    statistics = encoder.embed(batch, trusted=True)
    torch.testing.assert_close(statistics[0, 3:6], torch.zeros(3), atol=1e-5, rtol=0)
    assert (statistics[1] == 0).all()
