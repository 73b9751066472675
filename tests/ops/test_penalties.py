import torch

from distaff.ops import batch_capacity_penalty, cell_capacity_penalty


def test_batch_and_cell_forms_and_their_gradients():
    # cells that spend 2 and 10 nats at a capacity of 6: the mean is met, no single cell is
    kl = torch.tensor([2.0, 10.0], requires_grad=True)
    batch = batch_capacity_penalty(kl, 6.0)
    assert batch.item() == 0.0
    (gradient,) = torch.autograd.grad(2.0 * batch, kl)
    assert gradient.tolist() == [0.0, 0.0]
    cell = cell_capacity_penalty(kl, 6.0).mean()
    assert 2.0 * cell.item() == 8.0
    (gradient,) = torch.autograd.grad(cell, kl)
    assert gradient.tolist() == [-0.5, 0.5]


def test_cell_form_is_never_smaller():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        kl = 10 * torch.rand(16, generator=generator)
        assert float(cell_capacity_penalty(kl, 5.0).mean()) >= float(batch_capacity_penalty(kl, 5.0)) - 1e-6
