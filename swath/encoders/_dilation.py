"""Convolutions that keep the resolution of their input, dilated where they would have halved it (DeepLab's à trous)."""

from torch import nn

_POOLS = (nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d)


def dilate(stage: nn.Module) -> bool:
    """Have a stage of convolutions that halves its input keep the size instead.

    Its outputs at every second position are what they were: strides become 1, and what follows is dilated by 2.

    Returns:
        Whether it could be done; if not, nothing was changed. Kernels of even size and pooling are in the way.
    """
    convs = [part for part in stage.modules() if isinstance(part, nn.Conv2d)]
    strided = [conv for conv in convs if conv.stride != (1, 1)]
    pools = any(isinstance(part, _POOLS) and part.stride not in (1, (1, 1)) for part in stage.modules())
    if not strided or pools or not all(map(_centred, convs)) or any(conv.stride != (2, 2) for conv in strided):
        return False
    for conv in convs:
        if conv in strided:
            conv.stride = (1, 1)
        else:
            conv.dilation = tuple(2 * by for by in conv.dilation)
            conv.padding = tuple(2 * by for by in conv.padding if isinstance(by, int))
    return True


def _centred(conv: nn.Conv2d) -> bool:
    """Whether a convolution's output lies centred on its input: a plain one of odd size, padded equally on all
    sides.
    """
    return type(conv) is nn.Conv2d and all(
        size % 2 and pad == size // 2 * by
        for size, pad, by in zip(conv.kernel_size, conv.padding, conv.dilation, strict=True)
    )
