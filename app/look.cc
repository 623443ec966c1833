// qkv look: what a model attends to, in the terminal or as a picture, a page or JSON.
#include <algorithm>
#include <optional>
#include <type_traits>

#include "app/command.h"
#include "app/look_sound.h"
#include "app/output.h"
#include "app/picture.h"
#include <fmt/format.h>

#include "qkv/base/error.h"
#include "qkv/media/picture_file.h"
#include "qkv/systems/open.h"

namespace qkv::app {
namespace {

struct Settings {
  std::string model, file, source, target, clips, clip, node, patch, output;
  std::optional<double> at;
  NodeFiles graph;
  AttentionMap::Kind kind = AttentionMap::Kind::cross;
  LookOptions look;

  template <class Self, class Visit>
  static void each(Self& s, Visit&& visit) {
    visit({.name = "model", .help = "Model directory", .required = true}, s.model);
    visit({"source", "The text to look at"}, s.source);
    visit({"target", "Of a translator: the translation; default: its own"}, s.target);
    visit({"clips", "Of a model of actions: a file of clips"}, s.clips);
    visit({"clip", "The id of the clip to look at; default: the first"}, s.clip);
    NodeFiles::each(s.graph, visit);
    visit({"node", "The id of the node of a graph to look at"}, s.node);
    visit({"patch", "Of a picture: the patch that looks, ROW,COL from 0; default: the class row"},
          s.patch);
    visit({"at", "Of a sound: what the encoder attends to at this second", non_negative()}, s.at);
    visit({"kind", "Whose attention; where a model has one kind alone, that"}, s.kind);
    LookOptions::each(s.look, visit);
    visit({"output", "File: .svg, .png, .json (all maps) or .html (all, with a chooser)"},
          s.output);
  }
};

/// What each system needs to be looked at.
struct Look {
  const Settings& s;

  const std::string& text() const {
    if (!s.clips.empty() || !s.clip.empty()) {
      fail("look: --clips and --clip are for models of actions");
    }
    if (!s.node.empty() || s.graph.given()) {
      fail("look: --nodes, --edges and --node are for models of nodes");
    }
    if (s.source.empty()) fail("look: give a sentence, --source");
    return s.source;
  }
  const std::string& text_alone() const {
    if (!s.target.empty()) fail("look: --target is for translators");
    return text();
  }
  AttentionMaps operator()(const Translator& t) const {
    return t.attention(text(), s.target, s.look);
  }
  AttentionMaps operator()(const Generator& g) const { return g.attention(text_alone()); }
  AttentionMaps operator()(const LabelSystem& l) const { return l.attention(text_alone(), s.look); }
  AttentionMaps operator()(const BertSystem& b) const { return b.attention(text_alone(), s.look); }
  AttentionMaps operator()(const WordVectors&) const {
    fail("{}: word vectors attend to nothing; see qkv similar", s.model);
  }
  AttentionMaps operator()(const ActionRecogniser& a) const {
    if (s.clips.empty()) fail("look: give a file of clips, --clips");
    if (!s.source.empty() || !s.target.empty()) fail("look: --source and --target are for text");
    const std::vector<Clip> clips = read_clips(s.clips);
    const auto found = s.clip.empty() ? clips.begin() : std::ranges::find(clips, s.clip, &Clip::id);
    if (found == clips.end()) fail("{}: no clip has the id '{}'", s.clips, s.clip);
    return a.attention(*found);
  }
  AttentionMaps operator()(const SoundSystem& sounds) const {
    return sounds.attention(sounds.read(s.file));
  }
  AttentionMaps operator()(const NodeClassifier& n) const {
    if (s.node.empty()) fail("look: give a graph, --nodes and --edges, and the id of a --node");
    if (!s.source.empty() || !s.target.empty()) fail("look: --source and --target are for text");
    if (!s.clips.empty() || !s.clip.empty()) {
      fail("look: --clips and --clip are for models of actions");
    }
    return n.attention(read_nodes(s.graph), s.node);
  }
  AttentionMaps operator()(const Upscaler&) const {
    fail("{}: what models of pictures attend to cannot be shown yet", s.model);
  }
  AttentionMaps operator()(const PictureGenerator& g) const {
    const bool text = !s.source.empty() || !s.target.empty();
    if (text || !s.clips.empty() || !s.clip.empty() || !s.node.empty() || s.graph.given()) {
      fail("look: a generator of pictures reads nothing; leave out what it is to look at");
    }
    return g.attention({});
  }
  AttentionMaps operator()(const PictureClassifier&) const {
    fail("{}: is a model of pictures; give one, qkv look PICTURE", s.model);
  }
};

/// What a patch of a picture attends to.
void look_at_picture(const Command& command, const Settings& s, Program& program,
                     const PictureClassifier& model) {
  for (const char* flag : {"source", "target", "clips", "clip", "nodes", "edges", "graphs",
                           "features", "directed", "node", "kind", "tokens"}) {
    if (command.given(flag)) {
      throw UsageError(fmt::format("--{} is not for models of pictures", flag));
    }
  }
  PictureLook look{.layer = s.look.layer, .head = s.look.head, .patch = {}};
  if (!s.patch.empty()) look.patch = patch_place(s.patch);
  PictureAttention seen = model.attention(read_picture(s.file));
  seen.maps.title = std::filesystem::path(s.file).filename().string() + " → " + seen.maps.title;
  if (s.output.empty()) return write_output(terminal_picture(seen, look));
  write_picture(seen, look, s.output);
  program.console.line("wrote " + s.output);
}

/// The system when it is one of sounds.
const SoundSystem* sounds_of(const System& system) {
  return std::visit(
      [](const auto& held) -> const SoundSystem* {
        if constexpr (std::is_base_of_v<SoundSystem, std::decay_t<decltype(held)>>) return &held;
        return nullptr;
      },
      system);
}

void look_at_sound(const Settings& s, const SoundSystem& sounds, Program& program) {
  if (s.file.empty()) fail("look: give a sound, qkv look FILE --model {}", s.model);
  if (!s.patch.empty()) throw UsageError("--patch is for a picture");
  if (!s.source.empty() || !s.target.empty()) fail("look: --source and --target are for text");
  if (!s.clips.empty() || !s.clip.empty() || !s.node.empty() || s.graph.given()) {
    fail("look: --clips, --clip, --nodes, --edges and --node are not for sounds");
  }
  SoundLook look{.kind = s.kind, .layer = s.look.layer, .head = s.look.head};
  look.at = s.at;
  look_at_sound(sounds, s.file, look, s.output, program);
}

void look(const Command& command, Settings& s, Program& program) {
  const System system = qkv::open(s.model);
  if (const SoundSystem* sounds = sounds_of(system)) return look_at_sound(s, *sounds, program);
  if (s.at) throw UsageError("--at is for models of sounds");
  if (!s.file.empty()) {
    const auto* model = std::get_if<PictureClassifier>(&system);
    if (model == nullptr) fail("{}: reads neither pictures nor sounds; see --source", s.model);
    return look_at_picture(command, s, program, *model);
  }
  if (!s.patch.empty()) throw UsageError("--patch is for a picture");
  const AttentionMaps maps = std::visit(Look{s}, system);
  PictureOptions picture{.kind = s.kind, .layer = s.look.layer, .head = s.look.head};
  if (s.kind == AttentionMap::Kind::cross && layers_of(maps, s.kind).empty()) {  // all there is
    const bool encodes = !layers_of(maps, AttentionMap::Kind::encoder_self).empty();
    picture.kind = encodes ? AttentionMap::Kind::encoder_self : AttentionMap::Kind::decoder_self;
  }
  if (s.output.empty()) {
    print_output("{}\n{}\n", maps.title, terminal_picture(maps, picture));
  } else {
    if (std::holds_alternative<NodeClassifier>(system)) {
      write_graph(maps, picture, s.output);
    } else {
      write_picture(maps, picture, s.output);
    }
    program.console.line("wrote " + s.output);
  }
}

}  // namespace

void add_look(Program& program) {
  auto s = std::make_shared<Settings>();
  Command& c = program.command("look", "Show what a model attends to");
  c.positional("file", s->file, "Of a model of pictures or of sounds: what to look at");
  c.options(*s);
  program.add_threads(c);
  c.action([s, &c, &program] { look(c, *s, program); });
}

}  // namespace qkv::app
