// Labelled pictures and sounds from folders, lists, IDX and CIFAR; what is broken is named or
// skipped.
#include "qkv/media/media_sets.h"

#include "data/notices.h"
#include "media/fill.h"
#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/media/gunzip.h"
#include "qkv/media/listing.h"
#include "qkv/media/png.h"

namespace qkv {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(bytes.size() + 100, '\0');
  std::string in = bytes;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  deflateEnd(&stream);
  return out.substr(0, stream.total_out);
}

template <class F>
std::string why(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "read";
}

/// Three pictures of two classes, and files that are none.
class MediaSets : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string name : {"set/10", "set/9", "set/empty"}) {
      std::filesystem::create_directories(folder_ / name);
    }
    write_file(folder_ / "set/10/b.png", encode_png(noise_picture(1, 3, 4, 5)));
    write_file(folder_ / "set/10/a.PNG", encode_png(noise_picture(2, 1, 4, 5)));
    write_file(folder_ / "set/9/c.ppm", encode_ppm(noise_picture(3, 3, 4, 5)));
    write_file(folder_ / "set/9/notes.txt", "hello");
    write_file(folder_ / "set/9/.hidden.png", "hello");
  }
  Temporary folder_;
};

TEST_F(MediaSets, AFolderOfClasses) {
  const Notices notices;
  const PictureSet set = read_pictures({folder_ / "set"}, {.picture = {.channels = 3}});
  EXPECT_THAT(set.classes, ElementsAre("9", "10")) << "numbers sort as numbers";
  EXPECT_THAT(set.labels, ElementsAre(1, 1, 0));
  EXPECT_EQ(set.pictures[0], rgb_of(noise_picture(2, 1, 4, 5)));
  EXPECT_EQ(set.pictures[2], noise_picture(3, 3, 4, 5));
  ASSERT_EQ(notices.lines.size(), 1U);
  EXPECT_THAT(notices.lines[0], HasSubstr("2 other files are passed over"));
  EXPECT_THAT(why([&] { read_pictures({folder_ / "set" / "9"}); }), HasSubstr("FOLDER/CLASS/FILE"));
  EXPECT_THAT(why([&] { read_pictures({folder_ / "none"}); }), HasSubstr("none"));
  EXPECT_THROW(read_pictures({}), Error);
}

TEST_F(MediaSets, AListWithWindowsEndsAndGzip) {
  const std::string list =
      "\xEF\xBB\xBF"
      "cat\tset/10/b.png\r\n dog \tset/9/c.ppm\ncat\tset/10/a.PNG";
  for (const bool packed : {false, true}) {
    write_file(folder_ / "list.tsv", packed ? gzip(list) : list);
    const PictureSet set = read_pictures({folder_ / "list.tsv"});
    EXPECT_THAT(set.classes, ElementsAre("cat", "dog"));
    EXPECT_THAT(set.labels, ElementsAre(0, 1, 0));
    EXPECT_EQ(set.pictures[2].channels, 1);
  }
}

TEST_F(MediaSets, ListsThatAreNone) {
  const auto said = [&](const std::string& list) {
    return why([&] { parse_list(list, "x.tsv", ""); });
  };
  EXPECT_THAT(said(""), HasSubstr("x.tsv: the list is empty"));
  EXPECT_THAT(said("a\tb\nno tab\n"), HasSubstr("x.tsv:2: expected a label, a tab and a path"));
  EXPECT_THAT(said("a\tb\tc\n"), HasSubstr("x.tsv:1: expected"));
  EXPECT_THAT(said("a\tb\n\na\tc\n"), HasSubstr("x.tsv:2:"));
  EXPECT_THAT(said(" \tb\n"), HasSubstr("no label"));
  EXPECT_THAT(said("a\t \n"), HasSubstr("no path"));
  EXPECT_THAT(said("a\tb\xFF\n"), HasSubstr("byte 4 is not UTF-8"));
  EXPECT_THAT(said("a\tb\0\n"s), HasSubstr("NUL"));
}

TEST_F(MediaSets, ABrokenFileIsNamedOrSkippedAndCounted) {
  write_file(folder_ / "set/9/broken.png", "hello");
  EXPECT_THAT(why([&] { read_pictures({folder_ / "set"}); }),
              HasSubstr("broken.png: is no picture"));
  const Notices notices;
  const PictureSet set = read_pictures({folder_ / "set"}, {.skip_broken = true});
  EXPECT_EQ(set.skipped, 1);
  EXPECT_EQ(set.pictures.size(), 3U);
  EXPECT_THAT(notices.lines.back(), HasSubstr("1 of 4 files are left out; the first: "));
  EXPECT_THAT(notices.lines.back(), HasSubstr("broken.png"));
  write_file(folder_ / "list.tsv", "a\tnone.png\n");
  EXPECT_THAT(why([&] { read_pictures({folder_ / "list.tsv"}, {.skip_broken = true}); }),
              HasSubstr("no file could be read"));
}

const std::string kImages = "\0\0\x08\3\0\0\0\2\0\0\0\1\0\0\0\3\1\2\3\4\5\6"s;
const std::string kLabels = "\0\0\x08\1\0\0\0\2\7\2"s;

TEST_F(MediaSets, Idx) {
  write_file(folder_ / "t-images-idx3-ubyte.gz", gzip(kImages));
  write_file(folder_ / "t-labels-idx1-ubyte.gz", kLabels);
  const PictureSet set = read_pictures({folder_ / "t-images-idx3-ubyte.gz"});
  EXPECT_THAT(set.labels, ElementsAre(7, 2));
  EXPECT_EQ(set.classes.size(), 8U);
  EXPECT_THAT(set.pictures[1].bytes, ElementsAre(4, 5, 6));
  EXPECT_EQ(set.pictures[1].width, 3);
  EXPECT_EQ(read_pictures({folder_ / "t-images-idx3-ubyte.gz"}, {.picture = {.channels = 3}})
                .pictures[0]
                .channels,
            3);
  write_file(folder_ / "other", kImages);
  EXPECT_THAT(why([&] { read_pictures({folder_ / "other"}); }), HasSubstr("where are its labels"));
}

TEST_F(MediaSets, IdxThatIsNone) {
  const auto said = [](const std::string& bytes) {
    return why([&] { parse_idx(bytes, "x.idx"); });
  };
  for (std::size_t size = 0; size < kImages.size(); ++size) {
    EXPECT_NE(said(kImages.substr(0, size)), "read") << size;
  }
  EXPECT_THAT(said(kImages + "x"), HasSubstr("need 6 bytes, 7 are there"));
  EXPECT_THAT(said("\0\0\x0D\1\0\0\0\1abcd"s), HasSubstr("holds floats"));
  EXPECT_THAT(said("\0\0\x08\0"s), HasSubstr("has 0 sizes"));
  EXPECT_THAT(said("\0\0\x08\x04\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s),
              HasSubstr("need 1099511627776 bytes, 0 are there"))
      << "without an overflow";
  const IdxArray images = parse_idx(kImages, "i"), labels = parse_idx(kLabels, "l"),
                 three = parse_idx("\0\0\x08\1\0\0\0\3abc"s, "l");
  EXPECT_THAT(why([&] { idx_pictures(images, "i", three, "l"); }),
              HasSubstr("has 3 labels, i has 2"));
  EXPECT_THAT(why([&] { idx_pictures(labels, "i", labels, "l"); }), HasSubstr("has 1 sizes"));
}

TEST_F(MediaSets, CifarAndItsNames) {
  std::string records;
  for (const int label : {3, 1}) {
    records += static_cast<char>(label);
    for (int i = 0; i < 3072; ++i) records += static_cast<char>(i / 1024 * 10 + label);
  }
  write_file(folder_ / "a.bin", records);
  write_file(folder_ / "b.bin.gz", gzip(records));
  PictureSet set = read_pictures({folder_ / "a.bin", folder_ / "b.bin.gz"});
  EXPECT_THAT(set.labels, ElementsAre(3, 1, 3, 1));
  EXPECT_EQ(set.classes.size(), 10U);
  EXPECT_EQ(set.pictures[0].at(2, 31, 31), 23);
  write_file(folder_ / "batches.meta.txt", "plane\ncar\nbird\ncat\n\n");
  EXPECT_THAT(read_pictures({folder_ / "a.bin"}).classes,
              ElementsAre("plane", "car", "bird", "cat"));
  EXPECT_THAT(why([&] { parse_cifar(records.substr(1), "x.bin"); }), HasSubstr("6145 bytes"));
  EXPECT_THAT(why([&] { parse_cifar("", "x.bin"); }), HasSubstr("0 bytes"));
  records[0] = 10;
  EXPECT_THAT(why([&] { parse_cifar(records, "x.bin"); }),
              HasSubstr("record 1 has label 10 of 10 classes"));
}

TEST_F(MediaSets, Sounds) {
  Sound sound{8000, std::vector<float>(300, 0.5F)};
  write_file(folder_ / "a.wav", encode_wav(sound));
  sound.samples.resize(10);
  write_file(folder_ / "b.wav", encode_wav(sound));
  write_file(folder_ / "list.tsv", "one\ta.wav\ntwo\tb.wav\n");
  const SoundSet set = read_sounds({folder_ / "list.tsv"});
  EXPECT_THAT(set.labels, ElementsAre(0, 1));
  EXPECT_EQ(set.sounds[0].samples.size(), 300U);
  EXPECT_EQ(set.paths[1], folder_ / "b.wav");
  EXPECT_THAT(why([&] { read_sounds({folder_ / "list.tsv"}, {.least_samples = 80}); }),
              HasSubstr("b.wav: has 10 samples, too few for a row"));
  const SoundSet rest =
      read_sounds({folder_ / "list.tsv"}, {.least_samples = 80, .skip_broken = true});
  EXPECT_EQ(rest.skipped, 1);
  EXPECT_EQ(rest.sounds.size(), 1U);
}

TEST(Gunzip, WholeCutAndDamaged) {
  const std::string text(100000, 'x'), packed = gzip(text);
  EXPECT_EQ(gunzip("plain", "x"), "plain");
  EXPECT_EQ(gunzip(packed, "x"), text);
  EXPECT_EQ(gunzip(packed + gzip("more") + "\0\0"s, "x"), text + "more");
  for (std::size_t size = 2; size < packed.size(); size += 7) {
    EXPECT_THAT(why([&] { gunzip(packed.substr(0, size), "x"); }), HasSubstr("truncated"));
  }
  EXPECT_THAT(why([&] { gunzip(packed, "x", 99999); }), HasSubstr("more than 99999 bytes"));
  std::string damaged = packed;
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] ^ 1);
  EXPECT_THAT(why([&] { gunzip(damaged, "x"); }), HasSubstr("damaged"));
  EXPECT_THAT(why([&] { gunzip(packed + "x", "x"); }), HasSubstr("x: "));
}

}  // namespace
}  // namespace qkv
