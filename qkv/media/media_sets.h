// Labelled pictures and sounds from where people keep them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "qkv/media/listing.h"
#include "qkv/media/picture_file.h"
#include "qkv/media/picture_tables.h"
#include "qkv/media/sound.h"

namespace qkv {

struct PictureSetReading {
  PictureReading picture = {};
  bool skip_broken = false;  // leave files out that cannot be read, and count them
};

/// What a source is, is found by looking:
///   a folder               FOLDER/CLASS/*.png, .jpg, .jpeg, .ppm, .pgm, .pnm
///   IDX (MNIST)            the pictures; the labels lie beside them under the same name with
///                          "labels" and "idx1" in place of "images" and "idx3"
///   NAME.bin, NAME.bin.gz  CIFAR-10's records; names of the classes from batches.meta.txt beside
///   else                   a list: label TAB path, relative to the list
/// each but the folder perhaps gzipped. Several sources become one set; classes with one name are
/// one.
///
/// A broken picture is an error that names it; with skip_broken it is left out, counted in
/// `skipped` and said in a notice() with the first reason. Nothing left is an error; a broken list
/// or table always is.
PictureSet read_pictures(const std::vector<std::filesystem::path>& sources,
                         const PictureSetReading& how = {});

/// Labelled sounds, likewise: a folder of classes, or a list.
struct SoundSet {
  std::vector<Sound> sounds;
  std::vector<std::filesystem::path> paths;
  std::vector<int> labels;
  std::vector<std::string> classes;
  std::int64_t skipped = 0;
};
struct SoundSetReading {
  SoundReading sound = {};
  std::int64_t least_samples = 1;  // what is shorter has no row: broken
  bool skip_broken = false;
};
SoundSet read_sounds(const std::vector<std::filesystem::path>& sources,
                     const SoundSetReading& how = {});
/// Those of one listing, whose labels and classes they keep.
SoundSet read_listed_sounds(const Listing& listing, const SoundSetReading& how = {});

}  // namespace qkv
