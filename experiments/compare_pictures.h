// `qkv compare picture`, `texture` and `relation`: networks of pictures against each other at equal
// numbers of parameters, equal updates and growing training sets.
#pragma once

#include <cstdint>

#include "experiments/compare.h"

#include "qkv/train/pictures.h"

namespace qkv {

/// The configuration of the same kind that has nearest to `budget` parameters: its widths grow or
/// shrink together. Throws Error when even the narrowest is far above.
PictureNetwork::Config with_picture_parameters(PictureNetwork::Config config, std::int64_t budget);

/// As compare() does; --encoders, --preset and what is text's are refused.
CompareReport compare_pictures(const CompareOptions& options, const TrainWatch& watch);

}  // namespace qkv
