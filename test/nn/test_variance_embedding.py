from __future__ import annotations

import torch
import torch.nn.functional as F

from speechkit.nn.variance_embedding import BucketEmbedding, ConvEmbedding, buckets

LOW, HIGH = torch.tensor(-1.0), torch.tensor(3.0)


def test_buckets_are_equally_wide_and_the_outermost_take_what_lies_outside():
    z = torch.tensor([-9.0, -1.0, -0.01, 0.0, 0.99, 1.0, 2.0, 3.0, 9.0])
    assert buckets(z, LOW, HIGH, 4).tolist() == [0, 0, 0, 1, 1, 2, 3, 3, 3]
    assert buckets(z, LOW, LOW, 4).max() <= 3  # a constant: no interval at all


def test_the_table_is_looked_up_by_bucket():
    embedding = BucketEmbedding(5, num_buckets=4)
    out = embedding(torch.tensor([[0.5, 2.9]]), None, LOW, HIGH)
    assert torch.equal(out, embedding.table.weight[[1, 3]].unsqueeze(0))


def test_the_convolution_is_that_of_torch_and_does_not_see_padding():
    embedding, z = ConvEmbedding(5, 3), torch.randn(1, 7)
    expected = F.conv1d(z[:, None, :4], embedding.conv.weight, embedding.conv.bias, padding=1).transpose(1, 2)
    padding = torch.arange(7)[None] >= 4
    torch.testing.assert_close(embedding(z, padding, LOW, HIGH)[:, :4], expected)
