"""A GPU that is not there: tensors that say they are on it, and compute on the CPU.

Code that has never met a GPU runs here as it would there, values included. What torch refuses on one is refused:
tensors of two devices in one operation, NumPy's view of a tensor that is not on the CPU, a generator of another device.
What makes the host wait is refused inside `no_waiting`: reading a value, and copies that block.

Not shown are kernels, streams, events, memory and `pin_memory`, which do nothing here; and bfloat16 is that of a CPU.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # it notes torch's functions, so before any of them is replaced
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from swath.testing import Far

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")


class OnGpu(Far):
    """A tensor on the GPU."""

    may_wait = True
    """Whether the host may wait for values."""

    device = property(lambda _: GPU)  # pyright: ignore[reportAssignmentType]
    is_cuda = property(lambda _: True)  # pyright: ignore[reportAssignmentType]
    is_cpu = property(lambda _: False)

    @property
    def grad(self) -> Tensor | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The gradient, which torch's own formulas may have made of tensors that they allocate on the CPU."""
        found = Tensor.grad.__get__(self)  # pyright: ignore
        if found is not None and not isinstance(found, OnGpu):
            self.grad = found = OnGpu(found)
        return found

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        Tensor.grad.__set__(self, value)  # pyright: ignore

    @classmethod
    def refuse_waiting(cls, func: Any, args: Any) -> None:
        """Only inside of `no_waiting`."""
        if not cls.may_wait:
            super().refuse_waiting(func, args)

    def numpy(self, *_: Any, **__: Any) -> Any:
        """Refused, as for any tensor that is not on the CPU."""
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    __array__ = numpy

    def tolist(self) -> Any:
        """Its values, for which the host waits."""
        return self.cpu().tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.near.__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnGpu":
        if id(self) not in memo:
            twin = OnGpu(self.near.clone())
            again = nn.Parameter(twin, self.requires_grad) if isinstance(self, nn.Parameter) else twin
            memo[id(self)] = again.requires_grad_(self.requires_grad)
        return memo[id(self)]


class _Out(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return OnGpu(x.detach().clone())

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return _home(grads[0])


class _Home(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Tensor:
        return x.near.detach().clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return _out(grads[0])


def _out(x: Any) -> Any:
    """The tensor on the GPU."""
    if isinstance(x, OnGpu):
        return x
    return _Out.apply(x) if x.requires_grad else OnGpu(x)


def _home(x: Any) -> Any:
    """The tensor on the CPU."""
    if not isinstance(x, OnGpu):
        return x
    return _Home.apply(x) if x.requires_grad and torch.is_grad_enabled() else x.near.detach().clone()


INDEXING = (Tensor.__getitem__, Tensor.__setitem__, Tensor.index_put_)
ANYWHERE = ("__get__", "__set__", "_has_compatible_shallow_copy_type")
"""What concerns tensors themselves, not their values."""
FROM_HOST = (torch.tensor, torch.as_tensor)


class _Calls(TorchFunctionMode):
    """Sees what Python asks torch for, and where: torch's own code sees tensors of the CPU only."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.backward:
            with self:  # for what Python differentiates
                return torch.autograd.backward(args[0], kwargs.get("gradient"), kwargs.get("retain_graph"))
        if func in (Tensor.to, Tensor.cpu, Tensor.cuda):
            return self._move(func, args, kwargs)
        if func is Tensor.pin_memory:
            return args[0].clone()
        if getattr(func, "__name__", "") in ANYWHERE:
            return func(*args, **kwargs)
        kwargs.pop("pin_memory", None)
        said = kwargs.pop("device", None)
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        far = any(isinstance(x, OnGpu) for x in tensors)
        there = far if said is None else torch.device(said).type == "cuda"
        if there and kwargs.get("generator") is not None and kwargs["generator"].device.type == "cpu":
            raise AssertionError(f"{func.__name__} is given a generator of the CPU for a tensor of the GPU")
        if far:
            self._check(func, args, kwargs, tensors)
        elif there and func in FROM_HOST:
            self._refuse_blocking(f"{func.__name__} on the GPU")
        learns = there and not far and kwargs.pop("requires_grad", False)
        made = func(*args, **kwargs)
        if func is Tensor.copy_ or not (far or there):
            return made
        if learns:
            return _out(made).requires_grad_()
        return tree_map_only(Tensor, _out if there else _home, made)

    def _check(self, func: Any, args: Any, kwargs: Any, tensors: list[Tensor]) -> None:
        """Raise if tensors of two devices meet, as torch does."""
        if func is Tensor.copy_:
            if len({type(x) is OnGpu for x in args[:2]}) > 1 and not kwargs.get("non_blocking"):
                self._refuse_blocking("copy_ between host and GPU")
            return
        near = [x for x in tensors if not isinstance(x, OnGpu) and x.ndim]
        if func in INDEXING and isinstance(args[0], OnGpu) and near:
            self._refuse_blocking("an index of the host in a tensor of the GPU")
        elif near:
            where = ", ".join(f"{tuple(x.shape)} on {x.device.type}" for x in tensors)
            raise AssertionError(f"{getattr(func, '__name__', func)} of tensors on two devices: {where}")

    def _move(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        x, rest = args[0], list(args[1:])
        wanted = {Tensor.cpu: CPU, Tensor.cuda: GPU}.get(func) or kwargs.pop("device", None)
        if func is Tensor.to and rest and isinstance(rest[0], Tensor):
            wanted, rest[0] = rest[0].device, rest[0].dtype
        elif func is Tensor.to and rest and not isinstance(rest[0], torch.dtype):
            wanted = rest.pop(0)
        # by position they follow the type
        blocks = not (kwargs.pop("non_blocking", False) or any(flag is True for flag in rest[1:2]))
        rest = [one for one in rest if one is not None and not isinstance(one, bool)]
        there = x.is_cuda if wanted is None else torch.device(wanted).type == "cuda"
        if there != x.is_cuda and blocks:
            self._refuse_blocking(f"a copy to the {'GPU' if there else 'host'}")
        moved = _out(x) if there else _home(x)
        kwargs = {name: one for name, one in kwargs.items() if one is not None}
        return Tensor.to(moved, *rest, **kwargs) if func is Tensor.to and (rest or kwargs) else moved

    def _refuse_blocking(self, what: str) -> None:
        if not OnGpu.may_wait:
            raise AssertionError(f"{what} makes the host wait")


def _nothing(*_: Any, **__: Any) -> None:
    pass


class _Event(torch.cuda.Event):
    """Everything has happened already."""

    record = wait = synchronize = _nothing

    def query(self) -> bool:
        return True

    def elapsed_time(self, _: Any) -> float:  # pyright: ignore[reportIncompatibleMethodOverride]
        return 1.0


class _Stream:
    """Whatever is asked of it is done."""

    def __init__(self, *_: Any, **__: Any):
        self.device = GPU

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _nothing


class _Generator(torch.Generator):
    """Says which device it is for."""

    def __new__(cls, device: Any = CPU) -> "_Generator":
        made = super().__new__(cls)
        made.said = torch.device(device)
        return made

    device = property(lambda self: self.said)  # pyright: ignore[reportAssignmentType]


class _Autocast(torch.autocast):
    def __init__(self, device_type: str, *args: Any, **kwargs: Any):
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)


@contextmanager
def _fork_rng(*_: Any, **__: Any) -> Iterator[None]:
    state = torch.default_generator.get_state()
    yield
    torch.default_generator.set_state(state)


_RUN = threading.Thread.run


def _run(thread: threading.Thread) -> None:
    """Each thread has modes of its own; threads of a pool outlive the block."""
    with _Calls() if thread.name.startswith("swath-loader") else nullcontext():
        _RUN(thread)


_ENABLED, _DTYPE = torch.is_autocast_enabled, torch.get_autocast_dtype


def _autocasts(*_: Any) -> bool:
    return _ENABLED("cpu")


def _narrow(*_: Any) -> torch.dtype:
    return _DTYPE("cpu")


_ON_CUDA: dict[str, Any] = {
    **dict.fromkeys(("_lazy_init", "set_device", "manual_seed", "synchronize", "empty_cache"), _nothing),
    **dict.fromkeys(("memory_allocated", "memory_reserved", "max_memory_allocated", "current_device"), lambda *_: 0),
    **dict.fromkeys(("Stream", "current_stream"), _Stream),
    "Event": _Event,
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "get_device_capability": lambda *_: (9, 0),
    "get_device_name": lambda *_: "pretended",
    "stream": lambda _: nullcontext(),
    "reset_peak_memory_stats": _nothing,
    "mem_get_info": lambda *_: (2**40, 2**40),
}


@contextmanager
def pretended() -> Iterator[None]:
    """Inside the block torch finds a GPU, `cuda:0`."""
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    with ExitStack() as stack:
        for name, value in _ON_CUDA.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        for module in (torch, torch.amp, torch.amp.autocast_mode):
            stack.enter_context(mock.patch.object(module, "autocast", _Autocast))
        stack.enter_context(mock.patch.object(torch, "is_autocast_enabled", _autocasts))
        stack.enter_context(mock.patch.object(torch, "get_autocast_dtype", _narrow))
        stack.enter_context(mock.patch.object(torch, "Generator", _Generator))
        stack.enter_context(mock.patch.object(torch.random, "fork_rng", _fork_rng))
        # of tensors in it, none can be wrapped
        stack.enter_context(mock.patch.object(torch, "inference_mode", torch.no_grad))
        stack.enter_context(
            mock.patch.object(torch.optim.Optimizer, "_accelerator_graph_capture_health_check", _nothing, create=True)
        )
        stack.enter_context(mock.patch.object(Tensor, "record_stream", _nothing))
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swaps)
        stack.enter_context(mock.patch.object(threading.Thread, "run", _run))
        stack.enter_context(_Calls())
        yield


@contextmanager
def no_waiting() -> Iterator[None]:
    """Inside the block, whatever makes the host wait for the GPU raises AssertionError."""
    with mock.patch.object(OnGpu, "may_wait", False):
        yield
