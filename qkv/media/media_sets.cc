#include "qkv/media/media_sets.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/base/notice.h"
#include "qkv/base/parallel.h"
#include "qkv/base/utf8.h"
#include "qkv/media/folders.h"
#include "qkv/media/gunzip.h"

namespace qkv {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

/// Reads all files of a listing, some at once. Those that cannot be read are errors, or left out.
template <class Item>
class Reader {
 public:
  Reader(const Listing& listing, bool skip) : listing_(listing), skip_(skip) {}

  void read(const std::function<Item(const fs::path&)>& one) {
    items_.resize(listing_.items.size());
    std::vector<std::string> reasons(items_.size());
    parallel_for(static_cast<std::int64_t>(items_.size()), 1, [&](std::int64_t i, std::int64_t) {
      const auto at = static_cast<std::size_t>(i);
      try {
        items_[at] = one(listing_.items[at].path);
      } catch (const Error& error) {
        reasons[at] = error.what();
      }
    });
    // The first in the order of the list, whoever came first.
    const auto first =
        std::ranges::find_if(reasons, [](const std::string& why) { return !why.empty(); });
    if (first == reasons.end()) return;
    if (!skip_) fail("{}", *first);
    skipped_ = std::ranges::count_if(reasons, [](const std::string& why) { return !why.empty(); });
    notice(
        fmt::format("{} of {} files are left out; the first: {}", skipped_, items_.size(), *first));
    if (skipped_ == static_cast<std::int64_t>(items_.size())) fail("no file could be read");
  }

  std::int64_t skipped() const { return skipped_; }
  /// f(item, its place in the listing) for those that were read.
  void each(const std::function<void(Item&&, const Listed&)>& f) {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (items_[i]) f(std::move(*items_[i]), listing_.items[i]);
    }
  }

 private:
  const Listing& listing_;
  bool skip_;
  std::vector<std::optional<Item>> items_;
  std::int64_t skipped_ = 0;
};

/// The file of labels beside one of pictures.
fs::path labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  for (const auto& [from, to] : {std::pair{"images"sv, "labels"sv}, {"idx3"sv, "idx1"sv}}) {
    const std::size_t at = name.find(from);
    if (at == std::string::npos) {
      if (from == "idx3") continue;
      throw DataError(images.string(), 0,
                      "is an IDX file without \"images\" in its name: where are its labels?");
    }
    name.replace(at, from.size(), to);
  }
  return images.parent_path() / name;
}

/// The lines of batches.meta.txt beside a file of CIFAR, if it is there.
std::vector<std::string> class_names_beside(const fs::path& path) {
  const fs::path meta = path.parent_path() / "batches.meta.txt";
  if (!fs::exists(meta)) return {};
  std::vector<std::string> names;
  const std::string text = read_file(meta);
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view name = trim_spaces(rest.substr(0, end));
    if (!name.empty()) names.emplace_back(name);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

bool is_cifar(const fs::path& path) {
  return path.extension() == ".bin" ||
         (path.extension() == ".gz" && path.stem().extension() == ".bin");
}

PictureSet read_listing(const Listing& listing, const PictureSetReading& how) {
  Reader<Picture> reader(listing, how.skip_broken);
  reader.read([&](const fs::path& path) { return read_picture(path, how.picture); });
  PictureSet set;
  set.classes = listing.classes;
  set.skipped = reader.skipped();
  reader.each([&](Picture&& picture, const Listed& item) {
    set.pictures.push_back(std::move(picture));
    set.labels.push_back(item.label);
  });
  return set;
}

/// Pictures of a table in the channels that are asked for.
PictureSet in_channels(PictureSet set, int channels) {
  for (Picture& picture : set.pictures) {
    if (channels == 3) picture = rgb_of(picture);
    if (channels == 1) picture = grey_of(picture);
  }
  return set;
}

PictureSet read_one(const fs::path& source, const PictureSetReading& how) {
  if (fs::is_directory(source)) return read_listing(list_classes(source, picture_endings()), how);
  const std::string bytes = read_unpacked(source), name = source.string();
  if (bytes.starts_with("\0\0"sv)) {
    const fs::path labels = labels_beside(source);
    return in_channels(
        idx_pictures(parse_idx(bytes, name), name,
                     parse_idx(read_unpacked(labels), labels.string()), labels.string()),
        how.picture.channels);
  }
  if (is_cifar(source)) {
    return in_channels(parse_cifar(bytes, name, class_names_beside(source)), how.picture.channels);
  }
  return read_listing(parse_list(bytes, name, source.parent_path()), how);
}

/// Labels of the classes `more` among `classes`, which they join.
std::vector<int> joined(std::vector<std::string>& classes, const std::vector<std::string>& more) {
  std::vector<int> labels;
  for (const std::string& name : more) {
    const auto at = std::ranges::find(classes, name);
    labels.push_back(static_cast<int>(at - classes.begin()));
    if (at == classes.end()) classes.push_back(name);
  }
  return labels;
}

}  // namespace

PictureSet read_pictures(const std::vector<fs::path>& sources, const PictureSetReading& how) {
  if (sources.empty()) fail("pictures: no source is given");
  PictureSet all = read_one(sources.front(), how);
  for (std::size_t s = 1; s < sources.size(); ++s) {
    PictureSet more = read_one(sources[s], how);
    const std::vector<int> labels = joined(all.classes, more.classes);
    std::ranges::move(more.pictures, std::back_inserter(all.pictures));
    for (const int label : more.labels) {
      all.labels.push_back(labels[static_cast<std::size_t>(label)]);
    }
    all.skipped += more.skipped;
  }
  return all;
}

SoundSet read_listed_sounds(const Listing& listing, const SoundSetReading& how) {
  Reader<Sound> reader(listing, how.skip_broken);
  reader.read([&](const fs::path& path) {
    Sound sound = read_sound(path, how.sound);
    const auto samples = static_cast<std::int64_t>(sound.samples.size());
    if (samples < how.least_samples) {
      throw DataError(path.string(), 0, fmt::format("has {} samples, too few for a row", samples));
    }
    return sound;
  });
  SoundSet set;
  set.classes = listing.classes;
  set.skipped = reader.skipped();
  reader.each([&](Sound&& sound, const Listed& item) {
    set.sounds.push_back(std::move(sound));
    set.paths.push_back(item.path);
    set.labels.push_back(item.label);
  });
  return set;
}

SoundSet read_sounds(const std::vector<fs::path>& sources, const SoundSetReading& how) {
  if (sources.empty()) fail("sounds: no source is given");
  SoundSet all;
  for (const fs::path& source : sources) {
    SoundSet more = read_listed_sounds(
        fs::is_directory(source) ? list_classes(source, sound_endings()) : read_list(source), how);
    const std::vector<int> labels = joined(all.classes, more.classes);
    std::ranges::move(more.sounds, std::back_inserter(all.sounds));
    std::ranges::move(more.paths, std::back_inserter(all.paths));
    for (const int label : more.labels) {
      all.labels.push_back(labels[static_cast<std::size_t>(label)]);
    }
    all.skipped += more.skipped;
  }
  return all;
}

}  // namespace qkv
