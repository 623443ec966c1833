// qkv score psnr and ssim.
#pragma once

#include "app/command.h"

namespace qkv::app {

void add_score_pictures(Program& program);

}  // namespace qkv::app
