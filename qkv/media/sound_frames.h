// Sound as rows: the logarithms of mel bands, a row of 25 ms every 10 ms.
//
//   log_mel  Whisper's analysis at any rate: N/2 samples mirrored at both ends, the edge not
//            repeated, row t centred on sample t·hop, periodic Hann window, |DFT|² of N points,
//            Slaney's bands, log₁₀ max(·, 1e-10); T = ⌊L/hop⌋ rows. Models standardise it by their
//            training set; it needs no more of a sound than its window.
//   whisper  log_mel, then max(·, largest of the clip − 8) and (· + 4)/4, as Whisper's weights want
//            it. It needs the whole clip.
//   fbank    Kaldi's (and torchaudio's): samples as 16-bit numbers, from each frame its mean, then
//            y[n] = x[n] − .97 x[n−1] (y[0] = .03 x[0]), the Povey window, zeros to a power of two,
//            triangles in mel, ln max(·, 2⁻²³); no dither.
//
// The spectrum is a product of the frames with a constant [N, 2 (N/2 + 1)] of window, cosines and
// sines, in double; docs/decisions/0009 says why not a Fourier transform.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/media/mel.h"
#include "qkv/media/sound.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

enum class FrameKind : std::uint8_t { log_mel, whisper, fbank };
constexpr auto spelling(FrameKind) {
  return std::array<std::string_view, 3>{"log-mel", "whisper", "fbank"};
}

struct FrameOptions {
  FrameKind kind = FrameKind::log_mel;
  int rate = 16000;       // samples a second
  int bands = 80;         // 40 at 8 kHz
  double window_ms = 25;  // of a frame
  double hop_ms = 10;     // between frames
  bool snip = true;       // fbank: frames that lie inside, T = 1 + ⌊(L − N)/hop⌋; otherwise
                          // centred at (t + ½)·hop, edges repeated, T = ⌊(L + hop/2)/hop⌋

  template <class Self, class Visit>
  static void each(Self& f, Visit&& visit) {
    visit({"frames", "How sound becomes rows"}, f.kind);
    visit({"rate", "Samples a second that the model hears", between(1000, 192000)}, f.rate);
    visit({"bands", "Mel bands a row", between(1, 512)}, f.bands);
    visit({"window_ms", "Milliseconds of a row", between(1, 1000)}, f.window_ms);
    visit({"hop_ms", "Milliseconds from row to row", between(1, 1000)}, f.hop_ms);
    visit({"snip", "fbank: only windows that lie inside"}, f.snip);
  }
};

/// Const and shareable; holds the constants of its options.
class SoundFrames {
 public:
  /// Throws UsageError for an option out of range, Error when a band has no bin.
  explicit SoundFrames(const FrameOptions& options = {});

  const FrameOptions& options() const { return options_; }
  int window() const { return window_; }  // samples, N
  int hop() const { return hop_; }
  /// Rows that `samples` samples give.
  std::int64_t count(std::int64_t samples) const;

  /// [T bands] in f32; T may be 0. Throws Error when the sound has another rate.
  Tensor operator()(const Sound& sound) const;
  /// The same in double.
  std::vector<double> numbers(const Sound& sound) const;

 private:
  void make_basis();
  void cut(std::span<const float> samples, std::int64_t t, std::span<double> frame) const;
  void multiply(const double* frames, double* sums) const;
  void bands_of(double* spectrum, std::span<double> row) const;

  FrameOptions options_;
  int window_ = 0, hop_ = 0, size_ = 0;  // size_: points of the spectrum
  int tiles_ = 0;                        // columns of the basis, in fours
  // [N, 2 (size/2 + 1)]: the window times cosines, then sines; [tiles, N, 4] in memory.
  std::vector<double> basis_;
  std::vector<MelBand> bands_;
};

}  // namespace qkv
