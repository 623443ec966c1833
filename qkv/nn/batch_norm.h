// Batch normalisation (Ioffe & Szegedy 2015) over the rows of a packed batch, all pixels of all
// pictures together, and the conditional form (Dumoulin et al. 2017) with a scale and a shift for
// each class.
//
// While a tape records, the statistics are the batch's own, and the moving ones follow them (unless
// KeepBuffers); otherwise the moving ones are used, so that no picture depends on its neighbours.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "qkv/nn/buffers.h"
#include "qkv/nn/module.h"
#include "qkv/nn/state_dict.h"
#include "qkv/tensor/segments.h"

namespace qkv {

/// What the moving variance follows: Σd²/(T − 1), as PyTorch keeps it, or Σd²/T, which normalises
/// in either case.
enum class MovingVariance : std::uint8_t { unbiased, biased };
constexpr std::array<std::string_view, 2> spelling(MovingVariance) {
  return {"unbiased", "biased"};
}

struct BatchNormConfig {
  std::int64_t width = 0;  // C
  double eps = 1e-5;
  double decay =
      0.9;  // moving ← decay · moving + (1 − decay) · batch; PyTorch's momentum is 1 − it
  MovingVariance variance = MovingVariance::unbiased;
};

/// The statistics of both forms.
struct MovingStatistics {
  BatchNormConfig config;
  Buffer mean, variance;  // [C]: from 0 and 1 on

  static MovingStatistics make(Initialiser& init, const BatchNormConfig& config);
  /// x [T C] -> [T C], standardised as said above. A batch of no row leaves the moving statistics
  /// as they are; of one row it has no unbiased variance: ShapeError.
  Tensor operator()(const Tensor& x) const;
};

/// nn.BatchNorm2d (and 1d): "weight", "bias", "running_mean", "running_var".
struct BatchNorm {
  using Config = BatchNormConfig;
  Tensor weight, bias;  // [C]: 1 and 0
  MovingStatistics moving;

  static BatchNorm make(Initialiser& init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("weight", m.weight);
    visit("bias", m.bias);
    visit("running_mean", m.moving.mean);
    visit("running_var", m.moving.variance);
  }
  /// x [T C] -> [T C]
  Tensor operator()(const Tensor& x) const;
};

struct ConditionalBatchNorm {
  struct Config {
    BatchNormConfig norm;
    std::int64_t classes = 0;
  };
  Tensor weight, bias;  // [classes C]: 1 and 0
  MovingStatistics moving;

  static ConditionalBatchNorm make(Initialiser& init, const Config& config);
  template <class Self, class Visit>
  static void each(Self& m, Visit&& visit) {
    visit("weight", m.weight);
    visit("bias", m.bias);
    visit("running_mean", m.moving.mean);
    visit("running_var", m.moving.variance);
  }
  /// x [T C], a class for each picture of the batch -> [T C]
  Tensor operator()(const Tensor& x, const Segments& pictures,
                    std::span<const std::int32_t> classes) const;
};

/// As PyTorch has it, but for "num_batches_tracked", which nothing reads here.
void list_state(const BatchNorm& m, const std::string& prefix, StateEntries& entries);

}  // namespace qkv
