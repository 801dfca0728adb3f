"""The training iteration that `nem-tui bench` times, in PyTorch for comparison.

The network, losses and sizes come from a preset as printed by `nem-tui presets NAME --json`. The data are random, since
pixel values do not affect the time. As in the program, an iteration makes new noise and a new initial gamma, unrolls
all EM steps, and takes an Adam step.

In bf16, autocast computes matrix products and convolutions in bfloat16; the recurrent state, the output, the E-step and
the losses stay in float32.

Started by `compare`. It prints "ready" when warm, then answers each line "N" on stdin with the seconds of N iterations,
as JSON.
"""
import argparse
import json
import math
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS = {"Sigmoid": torch.sigmoid, "Relu": F.relu, "Elu": F.elu, "Linear": lambda x: x}


def glorot(shape, fan_in, fan_out):
    bound = math.sqrt(6 / (fan_in + fan_out))
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class Norm(nn.Module):
    """Layer norm over a whole sample, with gain and bias per channel."""

    def __init__(self, channels):
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return F.group_norm(x, 1, self.gain, self.bias, 1e-5)


class Layer(nn.Module):
    """Weights, then optional layer norm, then the activation."""

    def __init__(self, kind, spec, shape, image, output_activation, fold):
        super().__init__()
        self.kind, self.fold = kind, fold
        self.activation = spec.get("activation")
        self.is_output = self.activation == "Output"
        if self.is_output:
            self.activation = output_activation
        values = math.prod(shape)
        if kind == "Dense":
            units = spec.get("units") or math.prod(image)
            self.weight, bias, self.shape = glorot((units, values), values, units), units, (units,)
        elif kind in ("Conv", "UpsampleConv"):
            channels = spec.get("channels") or image[0]
            self.weight = glorot((channels, shape[0], 4, 4), 16 * shape[0], 16 * channels)
            bias = channels
            by = 0.5 if kind == "Conv" else 2
            self.shape = (channels, int(shape[1] * by), int(shape[2] * by))
        elif kind == "Reshape":
            self.weight, bias, self.shape = None, 0, (spec["channels"], spec["height"], spec["width"])
        else:
            self.weight, bias, self.shape = None, 0, shape
        self.bias = nn.Parameter(torch.zeros(bias)) if bias else None
        self.norm = Norm(bias) if bias and spec.get("layer_norm") else None

    def prepared(self):
        """The weights as used in the forward pass, computed once per iteration."""
        if self.kind == "UpsampleConv" and self.fold:
            return fold(self.weight), self.bias.repeat_interleave(4)
        return self.weight, self.bias

    def forward(self, x, prepared):
        weight, bias = prepared
        if self.kind == "InputNorm":
            centred = x - x.mean(1, keepdim=True)
            return centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + 1e-8)
        if self.kind == "Reshape":
            return x.reshape(-1, *self.shape)
        if self.kind == "Dense":
            x = F.linear(x.flatten(1), weight, bias)
        elif self.kind == "Conv":
            x = F.conv2d(x, weight, bias, stride=2, padding=1)
        elif self.fold:
            x = F.pixel_shuffle(F.conv2d(x, weight, bias, padding=1), 2)
        else:
            x = F.conv2d(F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 2, 1, 2)), weight, bias)
        if self.norm is not None:
            x = self.norm(x)
        return ACTIVATIONS[self.activation](x.float() if self.is_output else x)


def fold(kernel):
    """The 3x3 kernel with four times the outputs; followed by a pixel shuffle, it equals upsampling and a 4x4 kernel."""

    def taps(w, axis):
        a, b, c, d = w.unbind(axis)
        return torch.stack([a, b + c, d], axis), torch.stack([a + b, c + d, torch.zeros_like(a)], axis)

    # An odd row reads itself and the next one, so it is shifted by one tap.
    def rows(w, axis):
        even, odd = taps(w, axis)
        return even, odd.roll(1, axis)

    parts = [column for row in rows(kernel, 2) for column in rows(row, 3)]
    return torch.stack(parts, 1).flatten(0, 1)


class RnnEm(nn.Module):
    def __init__(self, preset, fold):
        super().__init__()
        data = next(iter(preset["data"].values()))
        image = (1, data["height"], data["width"])
        bernoulli = preset["model"]["distribution"] == "Bernoulli"
        self.image, self.before, self.after = image, nn.ModuleList(), nn.ModuleList()
        self.norm, shape = None, image
        for spec in preset["model"]["cell"]["RnnEm"]["layers"]:
            kind, spec = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
            if kind == "Recurrent":
                values, units = math.prod(shape), spec["units"]
                bound = math.sqrt(6 / (values + 2 * units))
                self.wx = nn.Parameter(torch.empty(units, values).uniform_(-bound, bound))
                self.wh = nn.Parameter(torch.empty(units, units).uniform_(-bound, bound))
                self.bias = nn.Parameter(torch.zeros(units))
                self.norm = Norm(units) if spec.get("layer_norm") else None
                self.units, shape = units, (units,)
                continue
            side = self.after if hasattr(self, "wx") else self.before
            side.append(Layer(kind, spec, shape, image, "Sigmoid" if bernoulli else "Linear", fold))
            shape = side[-1].shape

    def prepared(self):
        return [[layer.prepared() for layer in side] for side in (self.before, self.after)]

    def forward(self, rows, theta, prepared):
        x = rows.reshape(-1, *self.image) if self.before and self.before[0].kind == "Conv" else rows
        for layer, weights in zip(self.before, prepared[0]):
            if layer.kind == "Conv" and x.dim() == 2:
                x = x.reshape(-1, *self.image)
            x = layer(x, weights)
        a = F.linear(x.flatten(1), self.wx, self.bias).float() + F.linear(theta, self.wh).float()
        theta = torch.sigmoid(a)
        x = theta if self.norm is None else torch.sigmoid(self.norm(a))
        for layer, weights in zip(self.after, prepared[1]):
            x = layer(x, weights)
        return x.flatten(1), theta


class Training:
    def __init__(self, preset, args):
        if preset["train"].get("clip_norm"):
            raise SystemExit(f"{preset['name']} clips gradients, which this program does not, so the times would not be comparable")
        self.preset = preset
        self.device = torch.device(args.device)
        self.model = RnnEm(preset, args.fold).to(self.device)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=preset["train"]["learning_rate"])
        self.batch, self.k, self.steps = args.batch or preset["train"]["batch"], args.k or preset["k"], preset["steps"]
        distribution = preset["model"]["distribution"]
        self.e_sigma = None if distribution == "Bernoulli" else distribution["Gaussian"]["e_sigma"]
        self.moving = next(iter(preset["data"])).startswith("Flying")
        loss = preset["loss"]
        every = loss["steps"] == "All"
        self.weights = [1.0 if every or t + 1 == self.steps else 0.0 for t in range(self.steps)]
        self.inter_weight, self.gradient_gamma = loss["inter_weight"], loss["gradient_gamma"]
        kind, noise = next(iter(preset["noise"].items()))
        self.bitflip, self.share = kind == "Bitflip", noise["probability"]
        pixels = math.prod(self.model.image)
        frames = (torch.rand(self.steps + 1 if self.moving else 1, self.batch, 1, pixels) < 0.2).float()
        self.clean = frames.to(self.device)
        # Whole EM steps are compiled, so that the code between the networks is fused; the unroll stays in Python.
        self.step = torch.compile(self.em_step, mode=args.compile) if args.compile else self.em_step
        self.graphs = args.compile in ("reduce-overhead", "max-autotune")
        # Around the whole unroll, so that weights are cast once per iteration.
        self.cast = torch.autocast(self.device.type, torch.bfloat16, enabled=args.precision == "bf16")

    def em_step(self, noisy, target, pred, gamma, theta, prepared, counts: bool):
        batch, k, pixels = self.batch, self.k, target.shape[-1]
        weight = gamma if self.gradient_gamma else gamma.detach()
        rows = (weight * (noisy - pred)).reshape(batch * k, pixels)
        pred, theta = self.model(rows, theta, prepared)
        pred = pred.reshape(batch, k, pixels)
        if self.e_sigma is None:
            density = pred * target + (1 - pred) * (1 - target)
        else:
            variance = self.e_sigma**2
            density = torch.exp((pred - target).square() * (-0.5 / variance)) / math.sqrt(2 * math.pi * variance)
        p = density + 1e-6
        gamma = p / p.sum(1, keepdim=True)
        if not counts:
            return pred, gamma, theta, None
        weight = gamma if self.gradient_gamma else gamma.detach()
        if self.e_sigma is None:
            q = pred.clamp(1e-6, 1 - 1e-6)
            log_off = torch.log(1 - q)
            intra = -(target * torch.log(q) + (1 - target) * log_off)
            inter = -log_off
        else:
            intra, inter = (pred - target).square() / 2, pred.square() / 2
        loss = (weight * intra + self.inter_weight * (1 - weight) * inter).sum() / batch
        return pred, gamma, theta, loss

    def iteration(self):
        device, batch, k = self.device, self.batch, self.k
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()
        pixels = self.clean.shape[-1]
        clean = self.clean[:-1] if self.moving else self.clean.expand(self.steps, -1, -1, -1)
        hit = torch.rand(clean.shape, device=device) < self.share
        noisy = torch.where(hit, 1 - clean if self.bitflip else torch.rand(clean.shape, device=device), clean)
        gamma = torch.randn(batch, k, pixels, device=device).abs()
        gamma = gamma / gamma.sum(1, keepdim=True)
        pred = torch.zeros(batch, k, pixels, device=device)
        theta = torch.zeros(batch * k, self.model.units, device=device)
        prepared = self.model.prepared()
        total = 0
        with self.cast:
            for t, weight in enumerate(self.weights):
                target = self.clean[t + 1 if self.moving else 0]
                pred, gamma, theta, loss = self.step(noisy[t], target, pred, gamma, theta, prepared, weight != 0)
                if loss is not None:
                    total = total + weight * loss
        self.adam.zero_grad(set_to_none=True)
        total.backward()
        self.adam.step()
        # As in the program, the loss is read.
        return total.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int)
    parser.add_argument("--k", type=int)
    parser.add_argument("--fold", action="store_true", help="upsample and convolve with a folded kernel")
    parser.add_argument("--compile", nargs="?", const="default", metavar="MODE", help="use torch.compile, in this mode")
    parser.add_argument("--precision", default="f32", choices=["f32", "tf32", "bf16"])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--warm-up", type=int, default=2)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    if args.device.startswith("cuda"):
        # By default cuDNN rounds convolutions to TF32.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.precision == "tf32"
    training = Training(json.loads(sys.stdin.readline()), args)
    losses = [training.iteration() for _ in range(args.warm_up)]
    assert all(map(math.isfinite, losses)), losses
    on_gpu = training.device.type == "cuda"
    if on_gpu:
        # Free the memory for the other contenders until its next turn.
        torch.cuda.empty_cache()
    print("ready", flush=True)
    for line in sys.stdin:
        seconds = []
        if on_gpu:
            # Allocate it again.
            training.iteration()
        for _ in range(int(line)):
            start = time.perf_counter()
            training.iteration()
            seconds.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if on_gpu:
            peak = torch.cuda.max_memory_allocated()
            torch.cuda.empty_cache()
        print(json.dumps({"median_s": statistics.median(seconds), "seconds": seconds, "peak_bytes": peak}), flush=True)


if __name__ == "__main__":
    main()
