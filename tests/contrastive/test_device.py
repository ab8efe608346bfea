import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from weakcl_pipeline.contrastive import device
from weakcl_pipeline.contrastive.device import DeviceConfig, allow_tf32, autocast, resolve_device, resolve_precision
from weakcl_pipeline.errors import InputError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("cuda", "mps", "expected"), [(1, 0, "cuda"), (0, 1, "cpu"), (0, 0, "cpu")])
def test_auto_takes_the_best_device_that_has_all_it_takes(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: bool(mps))
    assert resolve_device("auto").type == expected


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    assert resolve_device("cpu") == CPU
    with pytest.raises(InputError, match=r"training\.device\.name: 'cuda:2' is not on this machine"):
        resolve_device("cuda:2")
    with pytest.raises(ValidationError, match="name"):
        DeviceConfig(name="gpu")


@pytest.mark.parametrize(("avx512", "amx", "expected"), [(1, 0, "bfloat16"), (0, 1, "bfloat16"), (0, 0, "float32")])
def test_auto_precision_is_bf16_where_the_hardware_computes_in_it(monkeypatch, avx512, amx, expected):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(avx512))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx))
    assert resolve_precision("auto", CPU) == getattr(torch, expected)


def test_auto_precision_on_cuda_does_not_count_emulation(monkeypatch):
    asked = []

    def is_supported(*, including_emulation):
        asked.append(including_emulation)
        return False

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert resolve_precision("auto", torch.device("cuda")) == torch.float32
    assert asked == [False]


def test_fp16_is_for_gpus():
    assert resolve_precision("fp16", torch.device("cuda")) == torch.float16
    with pytest.raises(InputError, match=r"training\.device\.precision: fp16 needs a GPU"):
        resolve_precision("fp16", CPU)
    assert device.resolve_precision("fp32", CPU) == torch.float32


def test_autocast_is_off_for_float32():
    weight = torch.rand(4, 4)
    with autocast(CPU, torch.float32):
        assert (weight @ weight).dtype == torch.float32
    with autocast(CPU, torch.bfloat16):
        assert (weight @ weight).dtype == torch.bfloat16


FREE_AND_ALLOCATE = """
import resource
import torch
from weakcl_pipeline.contrastive.device import keep_freed_memory

def count_page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(1 << 20) for _ in range(20)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

count_page_faults()
print(count_page_faults())
keep_freed_memory()
count_page_faults()
print(count_page_faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has the settings")
def test_memory_of_freed_tensors_is_used_again_without_asking_the_system():
    command = [sys.executable, "-c", FREE_AND_ALLOCATE]
    given_back, kept = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    pages = 20 * (4 << 20) // 4096
    assert given_back > pages / 2
    assert kept < pages / 10


def test_tf32_is_allowed_or_not_for_products_and_convolutions_of_a_gpu():
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    def switches():
        products = torch.backends.cuda.matmul.fp32_precision, torch.backends.cuda.matmul.allow_tf32
        return *products, torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    try:
        for allowed, expected in ((True, ("tf32", True, "high", True)), (False, ("ieee", False, "highest", False))):
            allow_tf32(torch.device("cuda"), allowed)
            assert switches() == expected
            assert (torch.backends.cudnn.conv.fp32_precision == "tf32") == allowed
            allow_tf32(CPU, not allowed)
            assert switches() == expected
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
