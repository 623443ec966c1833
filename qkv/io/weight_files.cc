#include "qkv/io/weight_files.h"

#include <algorithm>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"
#include "qkv/io/json.h"
#include "qkv/io/quote.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;

bool there(const fs::path& path) {
  std::error_code code;
  return fs::exists(path, code);
}

/// A name that stays in the directory and is no other kind of file.
bool plain(std::string_view name) {
  constexpr std::string_view kExtension = ".safetensors";
  return name.size() > kExtension.size() && name.ends_with(kExtension) && name.front() != '.' &&
         name.find("..") == name.npos && std::ranges::none_of(name, [](char c) {
           return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

/// "a", "b", … and how many they are.
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 6;
  std::string all;
  for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i) {
    all += (i > 0 ? ", " : "") + in_quotes(names[i]);
  }
  return names.size() <= kShown ? all : fmt::format("{}, … ({} in all)", all, names.size());
}

}  // namespace

WeightsIndex WeightsIndex::parse(std::string_view text, const std::string& name) {
  const Json json = parse_json(text, name);
  const auto wrong = [&](std::string_view reason) {
    throw DataError(name, 0, fmt::format("field 'weight_map': {}", reason));
  };
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object() ||
      json["weight_map"].empty()) {
    wrong("expected an object with the file of each tensor");
  }
  WeightsIndex index;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    const std::string shard = file.is_string() ? file.get<std::string>() : "";
    if (!plain(shard)) {
      wrong(
          fmt::format("tensor {} is said to be in {}, which is no name of a safetensors file in "
                      "the same directory",
                      in_quotes(tensor), in_quotes(file.dump(-1, ' ', true))));
    }
    index.shards[shard].insert(tensor);
  }
  if (const auto metadata = json.find("metadata");
      metadata != json.end() && metadata->is_object() && metadata->contains("total_size") &&
      (*metadata)["total_size"].is_number_unsigned()) {
    index.total_size = (*metadata)["total_size"].get<std::uint64_t>();
  }
  return index;
}

WeightFiles::WeightFiles(const fs::path& directory) {
  const fs::path single = directory / kWeightsFile, index = directory / kWeightsIndexFile;
  if (there(single) || !there(index)) {
    if (!there(single)) refuse_foreign_weights(directory);
    path_ = single.string();
    add(SafetensorsFile(single), nullptr);
  } else {
    path_ = index.string();
    open_shards(directory, WeightsIndex::parse(read_file(index), path_));
  }
  for (const SafetensorsFile& file : files_) {
    file.verify();
    file.check_finite();
  }
  note_types();
}

void WeightFiles::open_shards(const fs::path& directory, const WeightsIndex& index) {
  for (const auto& [name, tensors] : index.shards) {  // all of them, before the first is read
    if (there(directory / name)) continue;
    fail<FileError>("{}: is missing, but {} names it; copy the whole directory again",
                    (directory / name).string(), kWeightsIndexFile);
  }
  std::uint64_t bytes = 0;
  for (const auto& [name, tensors] : index.shards) {
    add(SafetensorsFile(directory / name), &tensors);
    bytes += files_.back().number_bytes();
  }
  // A tensor that the index places elsewhere must not be here too: which one would count?
  for (const SafetensorsFile& file : files_) {
    for (const std::string& name : file.names()) {
      const auto found = of_.find(name);
      if (found == of_.end() || &files_[found->second] == &file) continue;
      throw DataError(
          path_, 0,
          fmt::format("tensor {} is in two files; files of two models mixed?", in_quotes(name)));
    }
  }
  if (notes_.empty() && index.total_size && *index.total_size != bytes) {
    notes_.push_back(fmt::format("{}: says that all numbers take {} bytes, they take {}", path_,
                                 *index.total_size, bytes));
  }
}

void WeightFiles::add(SafetensorsFile file, const std::set<std::string>* listed_names) {
  std::vector<std::string> extra;
  for (const std::string& name : file.names()) {
    if (listed_names && !listed_names->contains(name)) {
      extra.push_back(name);
      continue;
    }
    of_.emplace(name, files_.size());
    names_.push_back(name);
  }
  if (listed_names && file.names().size() - extra.size() != listed_names->size()) {
    const auto missing = std::ranges::find_if(
        *listed_names, [&](const std::string& name) { return !file.contains(name); });
    throw DataError(file.path(), 0,
                    fmt::format("has no tensor {}, but {} says so; files of two models mixed?",
                                in_quotes(*missing), kWeightsIndexFile));
  }
  if (!extra.empty()) {
    notes_.push_back(fmt::format("{}: {} does not name these tensors, they are not used: {}",
                                 file.path(), kWeightsIndexFile, listed(extra)));
  }
  files_.push_back(std::move(file));
}

const SafetensorsFile& WeightFiles::file_of(std::string_view name) const {
  const auto found = of_.find(name);
  if (found == of_.end()) {
    throw DataError(path_, 0,
                    fmt::format("has no tensor {} among its {}; is it of another model?",
                                in_quotes(name), names_.size()));
  }
  return files_[found->second];
}

void WeightFiles::note_types() {
  std::map<std::string_view, std::size_t> converted;
  for (const std::string& name : names_) {
    const std::string_view type = file_of(name).dtype(name);
    if (type == "F16" || type == "BF16" || type == "F64") ++converted[type];
  }
  for (const auto& [type, count] : converted) {
    notes_.push_back(fmt::format("{}: {} of {} tensors are {}, they are read as f32", path_, count,
                                 names_.size(), type));
  }
}

}  // namespace qkv
