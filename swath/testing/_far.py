"""A tensor that pretends to be on a device: code that makes the host wait for its values fails."""

from typing import Any

import torch
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_map_only

ATEN = torch.ops.aten
READING = {ATEN._local_scalar_dense, ATEN.equal, ATEN.is_nonzero}
SIZED = {ATEN.nonzero, ATEN.masked_select, ATEN._unique2, ATEN.unique_consecutive, ATEN.unique_dim, ATEN.bincount}
"""Operations whose result is as large as the values say."""
CHECKED = {ATEN._linalg_svd, ATEN._linalg_eigh, ATEN._linalg_eigvals}
"""Operations that say on the host whether they succeeded."""
WAITING = READING | SIZED | CHECKED
MASKS = (torch.bool, torch.uint8)
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
        kwargs = kwargs or {}
        cls.refuse_waiting(func, args)
        near = tree_map_only(Far, lambda far: far.near, (args, kwargs))
        out = tree_map_only(torch.Tensor, cls, func(*near[0], **near[1]))
        return return_and_correct_aliasing(func, args, kwargs, out)

    @classmethod
    def refuse_waiting(cls, func: Any, args: Any) -> None:
        """Raise AssertionError if an operation makes the host wait for the device."""
        kind = func.overloadpacket
        masks = kind in INDEXING and any(i is not None and i.dtype in MASKS for i in args[1])
        if kind in WAITING or masks:
            raise AssertionError(f"{func} makes the host wait for the device")
