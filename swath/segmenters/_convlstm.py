"""A convolutional LSTM (Shi et al. 2015) whose state does not change at dates that do not count."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class ConvLSTM(nn.Module):
    """One convolution of input and state gives all gates: c' = f c + i g, h' = o tanh(c')."""

    def __init__(self, channels: int, hidden: int, kernel: int = 3):
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, kernel, padding=kernel // 2)

    def forward(self, x: Float[Tensor, "b t c h w"], frames: Bool[Tensor, "b t"]) -> Float[Tensor, "b d h w"]:
        """The cell's state after the last date that counts. PASTIS' code goes on through padded ones."""
        cell = x.new_zeros(x.shape[0], self.hidden, *x.shape[3:])
        state = cell
        for now, counts in zip(x.unbind(dim=1), frames.unbind(dim=1), strict=True):
            i, f, o, g = self.gates(torch.cat([now, state], dim=1)).chunk(4, dim=1)
            after = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            counts = counts[:, None, None, None]
            state = torch.where(counts, o.sigmoid() * after.tanh(), state)
            cell = torch.where(counts, after, cell)
        return cell
