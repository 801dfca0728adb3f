// What PyTorch 2.13 has removed and tch's glue still wraps. nem-tui calls none of it, so the linker drops the wrappers.
#include <torch/torch.h>

#define align_as(other) alias()

namespace torch {
inline std::vector<Tensor> align_tensors(TensorList tensors) {
  return tensors.vec();
}
} // namespace torch
