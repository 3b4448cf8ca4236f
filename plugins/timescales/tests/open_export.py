"""Whether PyTorch opens an exported checkpoint as the original: python open_export.py ORIGINAL EXPORTED."""

import sys

import torch

original, exported = (
    torch.load(path, map_location="cpu", weights_only=True)["state_dict"] for path in sys.argv[1:3]
)
assert list(original) == list(exported), "other names or another order"
for name, tensor in original.items():
    assert tensor.dtype == exported[name].dtype and torch.equal(tensor, exported[name]), name
print(f"{len(original)} tensors are equal")
