"""How a command that fails ends: a message of a few lines and an exit code, whatever went wrong."""

import errno
import platform
import sys
import tempfile
import traceback
from importlib import metadata

from swath import __version__
from swath.errors import SwathError

MISTAKE, UNFORESEEN = 2, 70
"""Exit codes: what a user can mend, and what is swath's own fault (EX_SOFTWARE of sysexits.h)."""

AGAIN = "then give the same command again: it continues where it was"
_SYSTEM = {
    errno.ENOSPC: ("the disk is full", f"make room, {AGAIN}"),
    errno.EDQUOT: ("your share of the disk is used up", f"make room, {AGAIN}"),
    errno.EFBIG: ("the file is larger than may be written", f"raise the limit with `ulimit -f`, {AGAIN}"),
    errno.EACCES: ("no permission to read or write", "give another folder (--out, --to), or the right to use this one"),
    errno.EPERM: ("no permission to read or write", "give another folder (--out, --to), or the right to use this one"),
    errno.EROFS: ("no permission to write: the disk is read-only", "give another folder (--out, --to)"),
    errno.ENAMETOOLONG: ("the path is too long", "give a shorter one"),
    errno.ELOOP: ("links lead in a circle", "give another path, or mend the links"),
    errno.ENOTDIR: ("a folder was expected here, and there is a file", "give another path"),
    errno.EISDIR: ("a file was expected here, and there is a folder", "give another path"),
    errno.EMFILE: ("too many files are open", f"raise the limit with `ulimit -n`, {AGAIN}"),
    errno.EIO: ("the disk reports an error", f"look at the disk, {AGAIN}"),
    errno.ESTALE: ("the network drive is gone", f"mount it again, {AGAIN}"),
}
_OF_A_GPU = ("CUDA error", "CUDA driver error", "CUDNN_STATUS", "CUBLAS_STATUS", "Triton Error [CUDA]")
"""What errors of a GPU say: those of the runtime and of its libraries, and of kernels that make views."""
_MEMORY = (
    "use a smaller batch (training.batch_size), a smaller --window of a map, fewer --jobs or a larger machine, " + AGAIN
)
_GPU = f"look at it with `nvidia-smi`, {AGAIN}"


def ending(error: Exception) -> tuple[str, int]:
    """The message for an error, and the exit code. The details of an unforeseen error are written to a file."""
    if isinstance(error, SwathError):
        return str(error), MISTAKE
    if _is_of_memory(error):
        return f"there is not enough memory\n  where: {_short(error)}\n  do:    {_MEMORY}", MISTAKE
    if is_of_gpu(error):
        return f"the GPU failed or disappeared\n  where: {_short(error)}\n  do:    {_GPU}", MISTAKE
    if (number := _system_error(error)) in _SYSTEM:
        what, remedy = _SYSTEM[number]
        where = getattr(error, "filename", None) or _short(error)
        return f"{what}\n  where: {where}\n  do:    {remedy}", MISTAKE
    remedy = "please report it with that file; what is finished is kept, and the same command continues"
    return f"something unforeseen: {_short(error)}\n  where: {_details(error)}\n  do:    {remedy}", UNFORESEEN


def is_of_gpu(error: Exception) -> bool:
    """Whether an error says that a GPU failed: it is the runtime's, one of its libraries', or a kernel's of views."""
    return any(name in str(error) for name in _OF_A_GPU)


def _is_of_memory(error: Exception) -> bool:
    """Whether an error means that memory ran out: Python's and NumPy's own, and torch's on a CPU or GPU."""
    torch_says = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or torch_says or getattr(error, "errno", None) == errno.ENOMEM


def _system_error(error: Exception) -> int | None:
    """The operating system's number of an error. Libraries in C++ and Rust hide a full disk inside their own errors."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    hidden = any(said in str(error) for said in ("No space left on device", "os error 28"))
    return errno.ENOSPC if hidden else None


def _short(error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}"[:200] if said else type(error).__name__


def _details(error: Exception) -> str:
    """Write the details of an error to a file and say where it is; print them where no file can be written."""
    packages = sorted({f"{d.metadata['Name']} {d.version}" for d in metadata.distributions()})
    text = "\n".join(
        [
            f"swath {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: {sys.argv}",
            "".join(traceback.format_exception(error)),
            *packages,
        ]
    )
    try:
        with tempfile.NamedTemporaryFile("w", prefix="swath-error-", suffix=".txt", delete=False) as file:
            file.write(text)
    except OSError:
        traceback.print_exception(error)
        return "printed above"
    return file.name
