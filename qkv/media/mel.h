// Mel bands: triangles over the bins of a spectrum.
#pragma once

#include <cstdint>
#include <vector>

namespace qkv {

/// A band: what it takes of bins first, first + 1, …
struct MelBand {
  int first = 0;
  std::vector<double> weights;
};

/// Slaney's scale: f/(200/3) below 1 kHz, 15 + 27·ln(f/1000)/ln 6.4 above.
double slaney_mel(double hertz);
double slaney_hertz(double mel);
/// Kaldi's: 1127·ln(1 + f/700).
double kaldi_mel(double hertz);

/// Whisper's and librosa's bands: edges equally spaced in Slaney's mel from 0 to rate/2, triangles
/// in hertz, of area 1 (a factor 2/(right − left)). Bin b is at b·rate/size hertz, b = 0 … size/2.
/// Throws Error when a band gets no bin: fewer bands or a longer window would do.
std::vector<MelBand> slaney_bands(int rate, int size, int bands);

/// Kaldi's: edges equally spaced in mel from 20 Hz to rate/2, triangles in mel of peak 1, bins
/// 0 … size/2 − 1. Throws likewise.
std::vector<MelBand> kaldi_bands(int rate, int size, int bands);

}  // namespace qkv
