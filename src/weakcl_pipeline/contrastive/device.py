"""Where to compute, and in which precision."""

import ctypes
import sys
from typing import Literal

import torch
from pydantic import Field

from weakcl_pipeline.config import Config
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.hardware import computes_bf16

Precision = Literal["auto", "bf16", "fp16", "fp32"]
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 1 << 30
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class DeviceConfig(Config):
    """Where and how the encoder computes.

    Attributes:
        name: ``auto`` (CUDA where there is one, else the CPU) or a torch device such as ``cuda:1``. Apple's ``mps`` is
            never chosen by itself: it has no float64, which clustering computes in.
        precision: ``auto`` is bf16 where the hardware computes in it, fp32 elsewhere.
        channels_last: Lay pictures out as NHWC in memory, which convolutions prefer.
        compile: Let torch.compile fuse the encoder; worth its minute of start-up in long runs.
        pictures_on_device: Keep the pictures of the train split on the device, so that none is uploaded while training;
            ``auto`` does so on a GPU, up to 4 GiB. Else each batch is uploaded while the one before is trained on.
        tf32: Let a GPU multiply and convolve float32 in TF32: faster, and coarser.
        views_at_once: How many views the encoder embeds at once on a worker; none means those of its whole batch. With
            fewer, memory holds the activations of these alone, and they are computed anew in the backward pass, which
            takes a third more time. The loss is still that of the whole batch (the embeddings are kept, as in Gao et
            al. 2021), and so are its gradients, except that batch normalisation normalises what is embedded at once.
            At 2, an odd number of views is embedded with three of them at once: one alone has no variance.
    """

    name: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    precision: Precision = "auto"
    channels_last: bool = True
    compile: bool = False
    pictures_on_device: Literal["auto"] | bool = "auto"
    tf32: bool = False
    views_at_once: int | None = Field(default=None, ge=2)


def resolve_device(name: str) -> torch.device:
    """Turn a device's name into the device.

    Raises:
        InputError: If this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    available = {"cpu": 1, "mps": int(torch.backends.mps.is_available()), "cuda": torch.cuda.device_count()}
    if (device.index or 0) >= available[device.type]:
        msg = f"training.device.name: {name!r} is not on this machine; use `auto` or `cpu`"
        raise InputError(msg)
    return device


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Turn a precision into the dtype of autocast; float32 stands for no autocast.

    Raises:
        InputError: If fp16 is asked for on a CPU, whose convolutions would be slower than in float32.
    """
    if precision == "fp16" and device.type == "cpu":
        msg = "training.device.precision: fp16 needs a GPU; use `auto`, `bf16` or `fp32` on the CPU"
        raise InputError(msg)
    if precision == "auto":
        return torch.bfloat16 if computes_bf16(device) else torch.float32
    return _DTYPES[precision]


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return the autocast context of a dtype, switched off for float32.

    Without its cache of weights that were cast: all threads share that, and one that leaves its autocast empties it, so
    that a training's last bits would depend on what is trained beside it.
    """
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32, cache_enabled=False)


def allow_tf32(device: torch.device, allowed: bool) -> None:
    """Say whether a GPU may compute float32 in TF32, for the whole process: so all who compute have to say it."""
    if device.type == "cuda":
        # These set all the switches that belong together: with some of them set, torch refuses to read the others.
        torch.set_float32_matmul_precision("high" if allowed else "highest")
        torch.backends.cudnn.allow_tf32 = allowed


def keep_freed_memory() -> None:
    """Let this process keep the memory of freed tensors for the tensors to come, up to 1 GiB, where the libc is glibc.

    A step of training on a CPU allocates what the step before has freed: PyTorch caches the memory of GPUs alone. By
    default glibc gives blocks of megabytes back to the system, which hands them out again page by page and filled with
    zeros: a tenth of a step's time (docs/benchmarks.md). Other libcs and systems are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
