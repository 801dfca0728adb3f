//! The shapes in a list of layers, and validation of such lists.

use super::images::ImageSize;
use super::schema::Layer;

/// Maximum number of values between two layers.
const MAX_VALUES: usize = 1 << 20;
/// Maximum number of weights: thirty times the paper's largest network, a gigabyte with gradients and moments.
pub(super) const MAX_WEIGHTS: usize = 1 << 26;

/// A layer's output, for one row of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerOutput {
    /// A vector of this length.
    Row(usize),
    /// Maps, channels first.
    Maps(ImageSize),
}

impl LayerOutput {
    /// Number of values.
    pub fn values(&self) -> usize {
        match self {
            LayerOutput::Row(length) => *length,
            LayerOutput::Maps(size) => size.values(),
        }
    }
}

impl std::fmt::Display for LayerOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LayerOutput::Row(length) => write!(f, "a row of {length}"),
            LayerOutput::Maps(ImageSize { channels, height, width }) => {
                write!(f, "{channels} maps of {height}x{width}")
            }
        }
    }
}

/// The output of every layer for images of size `image`.
///
/// # Errors
/// A sentence that names the impossible layer by its index in `model.cell.layers`.
pub fn layer_outputs(layers: &[Layer], image: ImageSize) -> Result<Vec<LayerOutput>, String> {
    let recurrent = layers.iter().filter(|layer| matches!(layer, Layer::Recurrent { .. })).count();
    if recurrent != 1 {
        return Err(format!(
            "model.cell.layers has {recurrent} Recurrent layers; RNN-EM needs exactly one, whose state is theta"
        ));
    }
    let mut outputs = Vec::with_capacity(layers.len());
    let mut flow = LayerOutput::Maps(image);
    let mut all_weights = 0usize;
    for (i, layer) in layers.iter().enumerate() {
        let input = flow;
        flow = output(*layer, input, image)
            .map_err(|problem| format!("model.cell.layers[{i}], {}, {problem}", layer.name()))?;
        if flow.values() == 0 || flow.values() > MAX_VALUES {
            return Err(format!(
                "model.cell.layers[{i}], {}, puts out {flow}; a layer puts out 1 to {MAX_VALUES} values",
                layer.name()
            ));
        }
        let enough = weights(*layer, input, flow).and_then(|weights| all_weights.checked_add(weights));
        all_weights = enough.filter(|weights| *weights <= MAX_WEIGHTS).ok_or_else(|| {
            format!(
                "model.cell.layers[{i}], {}, turns {input} into {flow}, which takes the network beyond \
                 {MAX_WEIGHTS} weights; make it or a layer before it smaller",
                layer.name()
            )
        })?;
        outputs.push(flow);
    }
    let last = layers.len() - 1;
    if !matches!(layers[last], Layer::Dense { .. } | Layer::UpsampleConv { .. }) {
        return Err(
            "model.cell.layers must end with a Dense or an UpsampleConv layer, which predicts the pixels"
                .into(),
        );
    }
    let fits = match flow {
        LayerOutput::Row(length) => length == image.values(),
        // The same number of values in other maps would be another image.
        LayerOutput::Maps(size) => size == image,
    };
    if !fits {
        return Err(format!(
            "model.cell.layers[{last}], {}, puts out {flow}, but an image of data has {} values in {}; \
             leave out its units or channels, and correct the layers before it",
            layers[last].name(),
            image.values(),
            LayerOutput::Maps(image)
        ));
    }
    Ok(outputs)
}

/// The output of `layer` for `input`.
fn output(layer: Layer, input: LayerOutput, image: ImageSize) -> Result<LayerOutput, String> {
    let maps = || match input {
        LayerOutput::Maps(size) => Ok(size),
        LayerOutput::Row(_) => Err(format!("needs maps but gets {input}; put a Reshape before it")),
    };
    let bounded = |n: usize| n.min(MAX_VALUES + 1);
    Ok(match layer {
        Layer::InputNorm => input,
        Layer::Dense { units, .. } => LayerOutput::Row(units.unwrap_or(image.values())),
        Layer::Recurrent { units, .. } => LayerOutput::Row(units),
        Layer::Conv { channels, .. } => {
            let ImageSize { height, width, .. } = maps()?;
            if height < 2 || width < 2 {
                return Err(format!("halves its maps but gets {input}; remove a Conv layer"));
            }
            LayerOutput::Maps(ImageSize { channels: bounded(channels), height: height / 2, width: width / 2 })
        }
        Layer::Reshape { channels, height, width } => {
            let product = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
            if product != Some(input.values()) {
                return Err(format!(
                    "makes {channels} maps of {height}x{width} but gets {input}, which has {} values",
                    input.values()
                ));
            }
            LayerOutput::Maps(ImageSize { channels, height, width })
        }
        Layer::UpsampleConv { channels, .. } => {
            let ImageSize { height, width, .. } = maps()?;
            LayerOutput::Maps(ImageSize {
                channels: bounded(channels.unwrap_or(image.channels)),
                height: 2 * height,
                width: 2 * width,
            })
        }
    })
}

/// Number of weights of all layers, without biases; 0 for an impossible list.
pub(super) fn weight_count(layers: &[Layer], image: ImageSize) -> usize {
    let outputs = layer_outputs(layers, image).unwrap_or_default();
    let inputs = [LayerOutput::Maps(image)].into_iter().chain(outputs.iter().copied());
    let each = layers.iter().zip(inputs).zip(&outputs);
    each.filter_map(|((layer, input), output)| weights(*layer, input, *output)).sum()
}

/// Number of weights of `layer`; `None` on overflow.
fn weights(layer: Layer, input: LayerOutput, output: LayerOutput) -> Option<usize> {
    let maps = |of: LayerOutput| match of {
        LayerOutput::Maps(size) => size.channels,
        LayerOutput::Row(_) => 0,
    };
    // Biases and layer norm add few weights, so they are left out.
    match layer {
        Layer::InputNorm | Layer::Reshape { .. } => Some(0),
        Layer::Dense { .. } => input.values().checked_mul(output.values()),
        Layer::Recurrent { units, .. } => input.values().checked_add(units)?.checked_mul(units),
        Layer::Conv { .. } | Layer::UpsampleConv { .. } => {
            maps(input).checked_mul(maps(output))?.checked_mul(4 * 4)
        }
    }
}

impl Layer {
    /// Its name in presets.
    pub fn name(&self) -> &'static str {
        match self {
            Layer::InputNorm => "InputNorm",
            Layer::Conv { .. } => "Conv",
            Layer::Dense { .. } => "Dense",
            Layer::Recurrent { .. } => "Recurrent",
            Layer::Reshape { .. } => "Reshape",
            Layer::UpsampleConv { .. } => "UpsampleConv",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Activation::{Elu, Output, Relu};

    const IMAGE: ImageSize = ImageSize { channels: 1, height: 28, width: 28 };

    fn conv(channels: usize) -> Layer {
        Layer::Conv { channels, layer_norm: true, activation: Elu }
    }
    fn dense(units: usize) -> Layer {
        Layer::Dense { units: Some(units), layer_norm: true, activation: Relu }
    }
    fn up(channels: Option<usize>) -> Layer {
        Layer::UpsampleConv { channels, layer_norm: false, activation: Output }
    }
    const RECURRENT: Layer = Layer::Recurrent { units: 100, layer_norm: true };
    const RESHAPE: Layer = Layer::Reshape { channels: 64, height: 7, width: 7 };
    fn reshape(channels: usize, height: usize, width: usize) -> Layer {
        Layer::Reshape { channels, height, width }
    }

    #[test]
    fn the_flying_shapes_network_goes_down_to_a_row_and_up_to_the_image() {
        let layers = [
            Layer::InputNorm,
            conv(32),
            conv(64),
            dense(512),
            RECURRENT,
            dense(512),
            dense(7 * 7 * 64),
            RESHAPE,
            up(Some(32)),
            up(None),
        ];
        let outputs: Vec<String> =
            layer_outputs(&layers, IMAGE).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(outputs[1..4], ["32 maps of 14x14", "64 maps of 7x7", "a row of 512"]);
        assert_eq!(outputs[7..], ["64 maps of 7x7", "32 maps of 14x14", "1 maps of 28x28"]);
    }

    #[test]
    fn an_impossible_list_is_refused_by_the_layer_that_makes_it_so() {
        for (layers, expected) in [
            (vec![dense(784)], "has 0 Recurrent layers"),
            (vec![RECURRENT, RECURRENT, dense(784)], "has 2 Recurrent layers"),
            (
                vec![dense(9), conv(32), RECURRENT, dense(784)],
                "layers[1], Conv, needs maps but gets a row of 9",
            ),
            (vec![RECURRENT, up(None)], "layers[1], UpsampleConv, needs maps but gets a row of 100"),
            (
                vec![conv(1), conv(1), conv(1), conv(1), conv(1), RECURRENT, dense(784)],
                "layers[4], Conv, halves its maps but gets 1 maps of 1x1",
            ),
            (
                vec![RECURRENT, dense(100), RESHAPE, up(None)],
                "layers[2], Reshape, makes 64 maps of 7x7 but gets a row of 100",
            ),
            (
                vec![RECURRENT, dense(7 * 7 * 64), RESHAPE, up(None)],
                "layers[3], UpsampleConv, puts out 1 maps of 14x14, but an image of data has 784 values",
            ),
            (vec![RECURRENT, dense(783)], "layers[1], Dense, puts out a row of 783, but an image of data"),
            (vec![dense(0), RECURRENT, dense(784)], "layers[0], Dense, puts out a row of 0"),
            (vec![conv(usize::MAX), RECURRENT, dense(784)], "layers[0], Conv, puts out"),
            (vec![dense(784), RECURRENT], "must end with a Dense or an UpsampleConv"),
            (
                vec![dense(1_000_000), dense(1_000_000), RECURRENT, dense(784)],
                "layers[0], Dense, turns 1 maps of 28x28 into a row of 1000000, which takes the network beyond",
            ),
            (
                vec![RECURRENT, dense(50_000), dense(50_000), dense(784)],
                "layers[2], Dense, turns a row of 50000 into a row of 50000",
            ),
            (
                vec![Layer::Recurrent { units: 10_000, layer_norm: false }, dense(784)],
                "layers[0], Recurrent, turns",
            ),
            (
                vec![conv(5000), conv(5000), RECURRENT, dense(784)],
                "layers[1], Conv, turns 5000 maps of 14x14 into 5000 maps of 7x7",
            ),
            // As many values as the image, but another form.
            (
                vec![RECURRENT, dense(49), reshape(1, 7, 7), up(Some(4))],
                "layers[3], UpsampleConv, puts out 4 maps of 14x14, but an image of data has 784 values in 1 maps of 28x28",
            ),
            (
                vec![RECURRENT, dense(196), reshape(1, 7, 28), up(None)],
                "layers[3], UpsampleConv, puts out 1 maps of 14x56",
            ),
        ] {
            let problem = layer_outputs(&layers, IMAGE).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
