"""A tensor that pretends to be on a device: code that makes the host wait for its values fails."""

from typing import Any

import torch
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_map_only

ATEN = torch.ops.aten
WAITING = {ATEN._local_scalar_dense, ATEN.nonzero, ATEN.masked_select, ATEN.equal, ATEN.is_nonzero}
INDEXING = {ATEN.index, ATEN.index_put, ATEN.index_put_}


class Far(torch.Tensor):
    """Wraps a tensor, `near`, and computes like it; whatever is computed from it is a `Far` too."""

    near: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]

    @staticmethod
    def __new__(cls, near: torch.Tensor) -> "Far":
        like = {"strides": near.stride(), "storage_offset": near.storage_offset(), "dtype": near.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, near.shape, **like, device=near.device)

    def __init__(self, near: torch.Tensor):
        self.near = near

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any, kwargs: Any = None) -> Any:
        kind, kwargs = func.overloadpacket, kwargs or {}
        masks = kind in INDEXING and any(i is not None and i.dtype == torch.bool for i in args[1])
        if kind in WAITING or masks:
            raise AssertionError(f"{func} makes the host wait for the device")
        near = tree_map_only(Far, lambda far: far.near, (args, kwargs))
        out = tree_map_only(torch.Tensor, Far, func(*near[0], **near[1]))
        return return_and_correct_aliasing(func, args, kwargs, out)
