#include "app/look_sound.h"

#include <algorithm>

#include "app/output.h"
#include "app/picture.h"

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/systems/sound_look.h"
#include "qkv/view/json.h"
#include "qkv/view/png.h"
#include "qkv/view/svg.h"

namespace qkv::app {

void look_at_sound(const SoundSystem& system, const std::string& file, SoundLook look,
                   const std::string& output, Program& program) {
  const SoundAttention seen = look_along(system, system.read(file));
  const bool missing = layers_of(seen.maps, look.kind).empty();
  if (missing && look.kind == AttentionMap::Kind::cross) {
    look.kind = AttentionMap::Kind::encoder_self;
  }
  if (output.empty()) {
    constexpr int kLabels = 14;  // columns beside the blocks
    look.columns = std::clamp(Console::width(), 40, 160) - kLabels;
    return write_output(terminal_picture(sound_heat_map(seen, look)));
  }
  const std::string ending = std::filesystem::path(output).extension().string();
  if (ending == ".svg") {
    write_file(output, svg_heat_map(sound_heat_map(seen, look)));
  } else if (ending == ".png") {
    write_file(output, png_heat_map(sound_heat_map(seen, look)));
  } else if (ending == ".json") {
    write_file(output, attention_json(seen.maps));
  } else if (ending == ".html") {
    write_file(output, sound_page(seen, file));
  } else {
    fail("--output {}: the name must end in .svg, .png, .json or .html", output);
  }
  program.console.line("wrote " + output);
}

}  // namespace qkv::app
