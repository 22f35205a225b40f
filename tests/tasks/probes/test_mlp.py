import torch
from torch import nn

from swath.tasks.probes import mlp
from tests.tasks.probes.test_every_probe import clouds


def network(seed=0, n=90, batch_size=256):
    features, _ = clouds(n=(n, 3, 3))
    config = mlp.Config(epochs=2, batch_size=batch_size)
    return mlp.train(config, torch.from_numpy(features.train_x), torch.from_numpy(features.train_y), 3, seed)


def test_the_architecture_is_the_papers():
    layers = list(network())
    assert [type(layer) for layer in layers] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert (layers[0].in_features, layers[0].out_features, layers[3].out_features) == (12, 128, 3)


def test_training_neither_reads_nor_moves_the_global_random_numbers():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = network()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    other = network()
    assert torch.equal(one[0].weight, other[0].weight)
    assert not torch.equal(one[0].weight, network(seed=1)[0].weight)


def test_a_rest_of_one_sample_does_not_break_batch_norm():
    assert torch.isfinite(network(n=33, batch_size=16)[0].weight).all()
