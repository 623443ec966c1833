// Files of weights that are not read: which they are, why not, and the way out.
#include <algorithm>
#include <cctype>

#include "qkv/base/error.h"
#include "qkv/io/quote.h"
#include "qkv/io/weight_files.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

enum class Kind : std::uint8_t { pickle, tensorflow, flax, onnx, gguf };

struct Ending {
  std::string_view text;  // of the file's name, in lower case
  Kind kind;
};
// In the order in which a directory is searched: what is easiest to convert first.
constexpr Ending kEndings[] = {
    {".bin", Kind::pickle},   {".bin.index.json", Kind::pickle},
    {".pt", Kind::pickle},    {".pth", Kind::pickle},
    {".ckpt", Kind::pickle},  {".h5", Kind::tensorflow},
    {".msgpack", Kind::flax}, {".gguf", Kind::gguf},
    {".onnx", Kind::onnx},
};

/// Whether a name can stand in a command as it is.
bool harmless(std::string_view name) {
  return std::ranges::all_of(name, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
  });
}

std::string reason(Kind kind, const std::string& name) {
  switch (kind) {
    case Kind::pickle:
      return fmt::format(
          "is a pickle: to load it is to run whatever program is in it. Where you trust it, "
          "convert "
          "it with torch 2.6 or newer: python3 -c \"import torch; from safetensors.torch import "
          "save_file; save_file({{k: v.clone().contiguous() for k, v in torch.load('{}', "
          "map_location='cpu', weights_only=True).items()}}, 'model.safetensors', {{'format': "
          "'pt'}})\"",
          harmless(name) && !name.ends_with(".json") ? name : "FILE");
    case Kind::tensorflow:
      return "holds weights of TensorFlow. Convert it with transformers 4, where MODEL is the "
             "class "
             "that config.json names: MODEL.from_pretrained('.', "
             "from_tf=True).save_pretrained('.')";
    case Kind::flax:
      return "holds weights of Flax. Convert it with transformers 4, where MODEL is the class that "
             "config.json names: MODEL.from_pretrained('.', from_flax=True).save_pretrained('.')";
    case Kind::onnx:
      return "is a graph for another runtime, not a model's weights by name; take the "
             "model.safetensors of the model that it was made from";
    case Kind::gguf:
      return fmt::format(
          "is a file of llama.cpp. Take the model.safetensors that it was made from, or convert it "
          "with transformers: AutoModelForCausalLM.from_pretrained('.', "
          "gguf_file='{}').save_pretrained('.')",
          harmless(name) ? name : "FILE");
  }
  return {};
}

std::string lowered(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

/// Not a model's weights, whatever the ending: state of training, and CTranslate2's model.
bool something_else(const std::string& name) {
  constexpr std::string_view kNames[] = {"model.bin",    "training_args.bin", "optimizer.bin",
                                         "optimizer.pt", "scheduler.pt",      "scaler.pt"};
  return std::ranges::find(kNames, name) != std::end(kNames) || name.starts_with("rng_state");
}

}  // namespace

std::optional<std::string> why_refused(const fs::path& file) {
  const std::string name = file.filename().string(), lower = lowered(name);
  if (something_else(lower)) return {};
  for (const Ending& ending : kEndings) {
    if (lower.ends_with(ending.text)) return reason(ending.kind, name);
  }
  return {};
}

void refuse_foreign_weights(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator entry(directory, code), end; !code && entry != end;
       entry.increment(code)) {
    names.push_back(entry->path().filename().string());
  }
  std::ranges::sort(names);
  for (const Ending& ending : kEndings) {
    for (const std::string& name : names) {
      if (something_else(lowered(name)) || !lowered(name).ends_with(ending.text)) continue;
      fail<FileError>("{}: there is no model.safetensors, and {} {}", directory.string(),
                      in_quotes(name), *why_refused(name));
    }
  }
}

}  // namespace qkv
