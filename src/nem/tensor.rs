//! Tensors from host values and back.

use burn::tensor::{Device, Tensor, TensorData};

/// A tensor from host values in row-major order; their number must match `shape`.
pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A tensor's values on the host, in row-major order.
pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    match tensor.try_into_vec_as() {
        Ok(values) => values,
        // Only a device that has failed before gets here, and the caller's thread reports that.
        Err(error) => panic!("a tensor could not be read back from its device: {error}"),
    }
}
