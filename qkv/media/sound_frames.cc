#include "qkv/media/sound_frames.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>

#include "qkv/base/error.h"
#include "qkv/base/parallel.h"

namespace qkv {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;
/// Sums that the registers of any processor hold: 4 × 4 doubles.
constexpr int kFrames = 4, kColumns = 4;

/// Place i of a sound of n samples, mirrored at both ends as often as it takes: without repeating
/// the edge (… 2 1 0 1 2 …), or with (… 1 0 0 1 …).
std::int64_t mirrored(std::int64_t i, std::int64_t n, bool repeat_edge) {
  if (n == 1) return 0;
  const std::int64_t period = repeat_edge ? 2 * n : 2 * n - 2;
  const std::int64_t at = (i % period + period) % period;
  return at < n ? at : period - at - (repeat_edge ? 1 : 0);
}

double window_at(FrameKind kind, int n, int size) {
  if (kind != FrameKind::fbank) return 0.5 - 0.5 * std::cos(kTurn * n / size);
  return size == 1 ? 1 : std::pow(0.5 - 0.5 * std::cos(kTurn * n / (size - 1)), 0.85);
}

int samples_of(double milliseconds, int rate) {
  return static_cast<int>(std::lround(milliseconds * rate / 1000));
}

}  // namespace

SoundFrames::SoundFrames(const FrameOptions& options) : options_(options) {
  check_ranges(options_);
  const bool kaldi = options_.kind == FrameKind::fbank;
  window_ = samples_of(options_.window_ms, options_.rate);
  hop_ = samples_of(options_.hop_ms, options_.rate);
  if (window_ < 2 || hop_ < 1 || window_ > 1 << 14) {
    fail<UsageError>("frames: {} samples every {}", window_, hop_);
  }
  size_ = kaldi ? static_cast<int>(std::bit_ceil(static_cast<unsigned>(window_))) : window_;
  bands_ = kaldi ? kaldi_bands(options_.rate, size_, options_.bands)
                 : slaney_bands(options_.rate, size_, options_.bands);
  make_basis();
}

void SoundFrames::make_basis() {
  const int bins = size_ / 2 + 1;
  tiles_ = (2 * bins + kColumns - 1) / kColumns;
  basis_.assign(static_cast<std::size_t>(tiles_) * static_cast<std::size_t>(window_ * kColumns), 0);
  for (int c = 0; c < 2 * bins; ++c) {
    double* tile = basis_.data() + std::ptrdiff_t{c / kColumns} * window_ * kColumns;
    for (int n = 0; n < window_; ++n) {
      // n·b taken modulo the size first: angles stay small and exact.
      const double angle =
          kTurn * static_cast<double>(std::int64_t{n} * (c % bins) % size_) / size_;
      tile[n * kColumns + c % kColumns] =
          window_at(options_.kind, n, window_) * (c < bins ? std::cos(angle) : std::sin(angle));
    }
  }
}

std::int64_t SoundFrames::count(std::int64_t samples) const {
  if (options_.kind != FrameKind::fbank) return samples / hop_;
  if (!options_.snip) return (samples + hop_ / 2) / hop_;
  return samples < window_ ? 0 : 1 + (samples - window_) / hop_;
}

void SoundFrames::cut(std::span<const float> samples, std::int64_t t, std::span<double> x) const {
  const bool kaldi = options_.kind == FrameKind::fbank;
  const auto length = static_cast<std::int64_t>(samples.size());
  std::int64_t begin = t * hop_ - window_ / 2;
  if (kaldi) begin = options_.snip ? t * hop_ : t * hop_ + hop_ / 2 - window_ / 2;
  for (int n = 0; n < window_; ++n) {
    const std::int64_t at = mirrored(begin + n, length, kaldi);
    x[static_cast<std::size_t>(n)] = static_cast<double>(samples[static_cast<std::size_t>(at)]);
  }
  if (!kaldi) return;
  for (double& v : x) v = std::round(v * 32768);
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / window_;
  for (double& v : x) v -= mean;
  for (std::size_t n = x.size(); n-- > 1;) x[n] -= 0.97 * x[n - 1];
  x[0] *= 0.03;
}

/// sums[f][c] = Σₙ frames[f][n] · basis[n][c], kept in registers for a few frames and columns; each
/// sum runs through the samples in their order, so neighbours change no bit.
void SoundFrames::multiply(const double* frames, double* sums) const {
  const auto window = static_cast<std::size_t>(window_);
  const auto columns = static_cast<std::size_t>(tiles_) * kColumns;
  for (std::size_t tile = 0; tile < static_cast<std::size_t>(tiles_); ++tile) {
    const double* row = basis_.data() + tile * window * kColumns;
    double sum[kFrames][kColumns] = {};
    for (std::size_t n = 0; n < window; ++n, row += kColumns) {
      for (std::size_t f = 0; f < kFrames; ++f) {
        const double x = frames[f * window + n];
        for (std::size_t c = 0; c < kColumns; ++c) sum[f][c] += x * row[c];
      }
    }
    for (std::size_t f = 0; f < kFrames; ++f) {
      std::copy_n(sum[f], kColumns, sums + f * columns + tile * kColumns);
    }
  }
}

void SoundFrames::bands_of(double* spectrum, std::span<double> row) const {
  const auto bins = static_cast<std::size_t>(size_) / 2 + 1;
  for (std::size_t b = 0; b < bins; ++b) {
    spectrum[b] = spectrum[b] * spectrum[b] + spectrum[bins + b] * spectrum[bins + b];
  }
  for (std::size_t m = 0; m < row.size(); ++m) {
    const MelBand& band = bands_[m];
    double sum = 0;
    for (std::size_t i = 0; i < band.weights.size(); ++i) {
      sum += band.weights[i] * spectrum[static_cast<std::size_t>(band.first) + i];
    }
    row[m] = options_.kind == FrameKind::fbank ? std::log(std::max(sum, 0x1p-23))
                                               : std::log10(std::max(sum, 1e-10));
  }
}

std::vector<double> SoundFrames::numbers(const Sound& sound) const {
  if (sound.rate != options_.rate) {
    fail("frames: the sound has {} samples a second, the model hears {}", sound.rate,
         options_.rate);
  }
  const std::int64_t rows = count(static_cast<std::int64_t>(sound.samples.size()));
  const auto bands = static_cast<std::size_t>(options_.bands);
  std::vector<double> all(static_cast<std::size_t>(rows) * bands);
  parallel_for(rows, kFrames, [&](std::int64_t first, std::int64_t last) {
    const auto window = static_cast<std::size_t>(window_);
    const auto columns = static_cast<std::size_t>(tiles_) * kColumns;
    std::vector<double> frames(kFrames * window), sums(kFrames * columns);
    for (std::int64_t t = first; t < last; ++t) {
      cut(sound.samples, t,
          std::span(frames).subspan(static_cast<std::size_t>(t - first) * window, window));
    }
    multiply(frames.data(), sums.data());
    for (std::int64_t t = first; t < last; ++t) {
      bands_of(sums.data() + static_cast<std::size_t>(t - first) * columns,
               std::span(all).subspan(static_cast<std::size_t>(t) * bands, bands));
    }
  });
  if (options_.kind == FrameKind::whisper && !all.empty()) {
    const double least = *std::ranges::max_element(all) - 8;
    for (double& v : all) v = (std::max(v, least) + 4) / 4;
  }
  return all;
}

Tensor SoundFrames::operator()(const Sound& sound) const {
  const std::vector<double> all = numbers(sound);
  std::vector<float> values(all.begin(), all.end());
  return Tensor::of(values,
                    {count(static_cast<std::int64_t>(sound.samples.size())), options_.bands});
}

}  // namespace qkv
