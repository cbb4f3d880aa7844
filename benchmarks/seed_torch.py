"""The network of `surrogate_cost` in PyTorch, its delayed synapses by the `dcls` package.

A projection is a `Dcls1d` of one kernel element a pair, in its Gaussian version: taps of sum 1
(but for 1e-7 that the package adds to the sum) around a learned position P, of width |SIG| + 0.27,
where SIG is sigma and the same for all. The package correlates, so its element m of D is a delay
of D - 1 - m steps, and it counts P from its element D // 2:

    delay = D - 1 - D // 2 - P

Input is padded by D steps in front and cut by one behind: a tap of k steps acts in step t + k + 1,
which is our delay of k steps, and the statistics of the normalisation are of the same numbers.
Time is a loop in Python; a structure is a mask of 0 and 1 on the weights.
"""

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from DCLS.construct.modules import Dcls1d
from torch import nn
from torch.nn import functional

SLOPE = 5.0
NEW_MAGNITUDE = 1e-12


class Spike(torch.autograd.Function):
    """1 where v > 1; backwards the derivative of an arctangent."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 1.0).to(v.dtype)

    @staticmethod
    def backward(ctx, by_spike):
        (v,) = ctx.saved_tensors
        return by_spike * (SLOPE / 2) / (1 + (math.pi / 2 * SLOPE * (v - 1)) ** 2)


class Delayed(nn.Module):
    """Delayed synapses that start as those of one of our projections.

    Arguments:
        projection: Of `mlgenn_delays`.
        n_pre: Presynaptic neurons.
        n_post: Postsynaptic neurons.
        dt: Length of a step [ms].
        sigma: Of the Gaussian [steps].
    """

    def __init__(self, projection, n_pre: int, n_post: int, dt: float, sigma: float) -> None:
        super().__init__()
        self.taps = round(projection.max_delay / dt) + 1
        self.centre = self.taps - 1 - self.taps // 2
        self.conv = Dcls1d(
            n_pre, n_post, kernel_count=1, dilated_kernel_size=self.taps, bias=False,
            version="gauss",
        )  # fmt: skip
        self.conv.SIG.requires_grad_(False)
        shape = (n_post, n_pre, 1)
        self.mask, self.sign = torch.zeros(shape), torch.randint(0, 2, shape) * 2.0 - 1.0
        post, pre = torch.from_numpy(projection.post).long(), torch.from_numpy(projection.pre())
        pairs = (post, pre.long(), torch.zeros_like(post))
        delay = torch.from_numpy(projection.delay_per_synapse() / dt).float()
        with torch.no_grad():
            self.conv.SIG.fill_(sigma)
            self.conv.weight.zero_()
            self.conv.weight[pairs] = torch.from_numpy(projection.weight)
            self.conv.P.uniform_(-self.centre, self.centre)
            self.conv.P[0][pairs] = self.centre - delay
            self.mask[pairs] = 1.0
            if projection.sign is not None:
                self.sign[pairs] = torch.from_numpy(projection.sign).float()
        self.sparse = bool((self.mask == 0).any())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the current of each step, (B, n_post, T), of (B, n_pre, T)."""
        return self.conv(functional.pad(x, (self.taps, -1)))


class Net(nn.Module):
    """The network.

    Arguments:
        net: Of `mlgenn_delays`, with the weights and delays to start from.
        sigma: Of the Gaussian [steps].
        dropout: Probability that a hidden neuron is silent to the output for a trial.
    """

    def __init__(self, net, sigma: float, dropout: float) -> None:
        super().__init__()
        sizes = [net.populations[name].n for name in ("input", "hidden", "output")]
        first, second = net.projections["input->hidden"], net.projections["hidden->output"]
        self.first = Delayed(first, sizes[0], sizes[1], net.dt, sigma)
        self.second = Delayed(second, sizes[1], sizes[2], net.dt, sigma)
        normalised = net.populations["hidden"].normalisation is not None
        self.norm = nn.BatchNorm1d(sizes[1]) if normalised else nn.Identity()
        self.leak = 1.0 - net.dt / net.populations["hidden"].model.tau_mem
        self.dropout = dropout
        self.spikes = 0.0  # mean a neuron and trial, of the last batch

    def set_sigma(self, sigma: float) -> None:
        """Set the width of all delay kernels [steps]."""
        with torch.no_grad():
            for layer in (self.first, self.second):
                layer.conv.SIG.fill_(sigma)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, K) of values (B, T, C)."""
        spikes = self.fire(self.norm(self.first(x.transpose(1, 2))))
        self.spikes = float(spikes.detach().mean()) * spikes.shape[2]
        if self.dropout:
            kept = torch.rand(spikes.shape[:2]) >= self.dropout
            spikes = spikes * (kept / (1.0 - self.dropout)).unsqueeze(2)
        return self.integrate(self.second(spikes)).softmax(2).sum(0)

    def fire(self, current: torch.Tensor) -> torch.Tensor:
        """Return the spikes (B, n, T) that currents (B, n, T) cause."""
        v, spikes = torch.zeros_like(current[:, :, 0]), []
        for now in current.permute(2, 0, 1).contiguous().unbind(0):
            spike = Spike.apply(v)
            v = (self.leak * v + now) * (1.0 - spike.detach())
            spikes.append(spike)
        return torch.stack(spikes).permute(1, 2, 0)

    def integrate(self, current: torch.Tensor) -> torch.Tensor:
        """Return V after each step, (T, B, K), of currents (B, K, T)."""
        v, out = torch.zeros_like(current[:, :, 0]), []
        for now in current.permute(2, 0, 1).contiguous().unbind(0):
            v = self.leak * v + now
            out.append(v)
        return torch.stack(out)


class Training:
    """Batches of training, all on one core.

    Arguments:
        net: Of `mlgenn_delays`.
        sigma: Of the Gaussian [steps].
        dropout: See `Net`.
        rewired: Whether structure is learned: by the paper's RigL, after every batch.
        l1: Strength of the sum of magnitudes in the loss.
    """

    def __init__(
        self, net, *, sigma: float, dropout: float = 0.4, rewired: bool = False, l1: float = 0.0
    ) -> None:
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)  # else the far ends of the Gaussians cost it 8 times as much
        torch.manual_seed(0)
        self.model = Net(net, sigma, dropout)
        self.layers, self.rewired, self.l1 = [self.model.first, self.model.second], rewired, l1
        weights = [layer.conv.weight for layer in self.layers] + [*self.model.norm.parameters()]
        positions = [layer.conv.P for layer in self.layers]
        groups = [{"params": weights, "lr": 1e-3}, {"params": positions, "lr": 0.1}]
        self.adam = torch.optim.Adam(groups)
        self.grown = 0

    def gradients(self, values: torch.Tensor, labels: torch.Tensor) -> float:
        """Set the gradients of a batch's mean loss and return that."""
        self.adam.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(self.model(values), labels)
        loss.backward()
        return float(loss.detach())

    def learn(self, values: torch.Tensor, labels: torch.Tensor) -> float:
        """Make an optimiser step, and a rewiring pass if structure is learned."""
        loss = self.gradients(values, labels)
        dense = [layer.conv.weight.grad.clone() for layer in self.layers]
        for layer in self.layers:
            self._keep_to_structure(layer)
        self.adam.step()
        for layer, gradient in zip(self.layers, dense, strict=True):
            layer.conv.clamp_parameters()
            if self.rewired and layer.sparse:
                self._rewire(layer, gradient)
        return loss

    def _keep_to_structure(self, layer: Delayed) -> None:
        """Take from a layer's gradients what absent synapses have, and add the L1 pull."""
        gradient, weight = layer.conv.weight.grad, layer.conv.weight.detach()
        if self.l1:
            gradient += self.l1 * (layer.sign if self.rewired else weight.sign())
        if layer.sparse:
            gradient *= layer.mask
            layer.conv.P.grad *= layer.mask

    @torch.no_grad()
    def _rewire(self, layer: Delayed, gradient: torch.Tensor) -> None:
        """Remove synapses whose magnitude reached zero and grow as many by signed gradient."""
        weight, mask, sign = layer.conv.weight, layer.mask, layer.sign
        gone = (mask > 0) & (weight * sign <= 0)
        n = int(gone.sum())
        if not n:
            return
        score = torch.where(mask > 0, -torch.inf, -sign * gradient)
        grown = score.flatten().topk(n).indices
        weight[gone], mask[gone] = 0.0, 0.0
        mask.view(-1)[grown] = 1.0
        weight.view(-1)[grown] = NEW_MAGNITUDE * sign.view(-1)[grown]
        changed = gone.flatten()
        changed[grown] = True
        for parameter in (weight, layer.conv.P):
            state = self.adam.state[parameter]
            for key in ("exp_avg", "exp_avg_sq"):
                state[key].view(-1)[changed] = 0.0
        self.grown += n


def prepare(net, data, settings: dict) -> Callable[[int, int], dict]:
    """Return a function that trains on some batches of an epoch, for examples and spikes.

    Arguments:
        net: Of `mlgenn_delays`, to start from.
        data: `CurrentData`.
        settings: A row of `surrogate_cost`.
    """
    from common import DROPOUT, make_kernel

    rewired, kernel = settings["rewiring"] is not None, make_kernel(settings)
    training = Training(
        net, sigma=kernel.sigma(1), dropout=DROPOUT, rewired=rewired,
        l1=settings["l1"] if rewired else 0.0,
    )  # fmt: skip
    values, labels = torch.from_numpy(data.values), torch.from_numpy(data.labels)
    training.learn(values[:8], labels[:8])  # to warm up

    def shuffled() -> Iterator[torch.Tensor]:
        while True:
            yield from torch.randperm(len(labels)).split(settings["batch"])

    stream = shuffled()

    def run(batches: int, epoch: int) -> dict:
        training.model.set_sigma(kernel.sigma(epoch))
        examples = 0
        for index in itertools.islice(stream, batches):
            training.learn(values[index], labels[index])
            examples += len(index)
        return {"examples": examples, "spikes": training.model.spikes}

    return run


# Whether both sides compute the same

SMALL = {"steps": 40, "dt": 10.0, "taps": 9, "rewiring": None, "examples": 16, "l1": 0.0}
SIZES = (12, 20, 4)
TOLERANCE = 1e-4


def check() -> bool:
    """Compare both sides at small size, print what was found, and return whether they differ."""
    from common import make_data, make_network

    print("largest difference over the largest value, both sides in training, without dropout\n")
    print("| taps | sparsity | sigma | normalised | logits | loss | by weight | by delay | "
          "by gain | by offset | losses of 10 batches |\n" + "|---" * 11 + "|")  # fmt: skip
    worst, data = 0.0, make_data(SMALL, SIZES[0], SIZES[2])
    cases = itertools.product((9, 65), (0.0, 0.5), (0.23, 3.0), (False, True))
    for taps, sparsity, sigma, normalise in cases:  # 65 taps: delays beyond the trial of 40 steps
        settings = SMALL | {"taps": taps, "sparsity": sparsity, "sigma": sigma}
        net = make_network(settings, SIZES, normalise=normalise)
        found = _differences(net, settings, data)
        worst = max(worst, *(math.inf if math.isnan(value) else value for value in found))
        cells = [f"{taps}", f"{sparsity}", f"{sigma}", "yes" if normalise else "no"]
        print(f"| {' | '.join([*cells, *(f'{value:.1e}' for value in found)])} |")
    print(f"\nlargest: {worst:.1e}, must be < {TOLERANCE:g}")
    learns = _check_learning(data)
    return not (worst < TOLERANCE and learns)


def _differences(net, settings: dict, data) -> list[float]:
    """Return how far logits, loss, gradients and the losses of a short training are apart."""
    import numpy as np
    from common import make_rule

    from mlgenn_delays import compile_network
    from mlgenn_delays.data import epoch_batches
    from mlgenn_delays.errors import DivergedError

    rule = make_rule(settings, dropout=0.0)
    ours = compile_network(net, rule, total_steps=10, threads=1)
    theirs = Training(net, sigma=settings["sigma"], dropout=0.0)
    values, labels = torch.from_numpy(data.values), torch.from_numpy(data.labels)
    with torch.no_grad():
        logits = np.stack([theirs.model(values[b : b + 1])[0].numpy() for b in range(4)])
    got = ours.gradients(data.batch(np.arange(len(data))), epoch=1)
    loss = theirs.gradients(values, labels)
    pairs = [(np.stack([_logits(ours, data, b) for b in range(4)]), logits), (got.loss, loss)]
    layers = dict(zip(net.projections, theirs.layers, strict=True))
    by_weight = {name: _gradient(layer.conv.weight, net, name) for name, layer in layers.items()}
    by_delay = {name: -_gradient(layer.conv.P, net, name) for name, layer in layers.items()}
    found = [_apart(*pair) for pair in pairs]
    for one, other in ((got.weight, by_weight), (got.delay, by_delay)):
        found.append(max(_apart(one[name], other[name]) for name in layers))
    if net.populations["hidden"].normalisation is not None:
        norm = theirs.model.norm
        found.append(_apart(got.gain["hidden"], norm.weight.grad.numpy()))
        found.append(_apart(got.offset["hidden"], norm.bias.grad.numpy()))
    else:
        found += [0.0, 0.0]
    losses: list[float] = []
    try:
        for epoch in range(10):
            batches = epoch_batches(data, len(data), seed=0, epoch=epoch, shuffle=False)
            ours.train_epoch(batches, epoch=1, on_batch=lambda batch: losses.append(batch.loss))
    except DivergedError:
        return [*found, math.nan]
    return [*found, _apart(losses, [theirs.learn(values, labels) for _ in range(10)])]


def _logits(ours, data, example: int):
    """Return our logits of an example that is a batch of its own, in training.

    The loss of label k is log(sum exp(logits)) - logit k, and the logits add up to the steps.
    """
    from dataclasses import replace

    import numpy as np

    batch, classes = data.batch(np.array([example])), data.n_classes
    losses = np.array([
        ours.gradients(replace(batch, labels=np.array([k])), epoch=1).loss for k in range(classes)
    ])  # fmt: skip
    return (losses.sum() + data.n_steps) / classes - losses


def _gradient(parameter: torch.Tensor, net, name: str):
    """Return the gradient of a parameter of pairs in the order of a projection's synapses."""
    projection = net.projections[name]
    return parameter.grad.reshape(parameter.shape[-3:])[:, :, 0].numpy()[
        projection.post, projection.pre()
    ]


def _apart(one, other) -> float:
    """Return the largest difference of two arrays over the largest value."""
    import numpy as np

    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    return float(np.abs(one - other).max() / max(np.abs(other).max(), 1e-30))


def _check_learning(data) -> bool:
    """Print how both sides fit 16 examples, and return whether PyTorch does and keeps its rules."""
    import numpy as np
    from common import make_network, make_rewiring, make_rule

    from mlgenn_delays import compile_network

    print()
    values, labels, fine = torch.from_numpy(data.values), torch.from_numpy(data.labels), True
    for rewiring in (None, "signed"):
        settings = SMALL | {"sparsity": 0.5, "sigma": 0.23, "rewiring": rewiring, "l1": 1e-3}
        net, steps = make_network(settings, SIZES), 400
        theirs = Training(
            net, sigma=0.23, dropout=0.0, rewired=bool(rewiring), l1=1e-3 if rewiring else 0.0
        )
        counts = [float(layer.mask.sum()) for layer in theirs.layers]
        losses = [theirs.learn(values, labels) for _ in range(steps)]
        kept = counts == [float(layer.mask.sum()) for layer in theirs.layers]
        ruled = all(
            bool((layer.conv.weight[layer.mask == 0] == 0).all()) for layer in theirs.layers
        )
        rule, whole = make_rule(settings, dropout=0.0), data.batch(np.arange(len(data)))
        ours = compile_network(
            net, rule, rewiring=make_rewiring(settings), total_steps=steps, threads=1
        )
        own = [ours.train_epoch([whole], epoch=1) for _ in range(steps)]
        grown = f", {sum(e.grown or 0 for e in own)} and {theirs.grown} grown" if rewiring else ""
        print(f"16 examples, {steps} batches, rewiring {rewiring}: loss {own[0].loss:.3f} -> "
              f"{own[-1].loss:.3f} ours, {losses[0]:.3f} -> {losses[-1]:.3f} dcls{grown}; "
              f"structure kept: {kept and ruled}")  # fmt: skip
        fine = fine and losses[-1] < 0.8 * losses[0] and kept and ruled
    return fine
