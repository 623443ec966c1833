#include "qkv/io/safetensors.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "text/temporary.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qkv/base/error.h"
#include "qkv/base/file.h"
#include "qkv/io/directory.h"

namespace qkv {
namespace {

using std::string_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;

std::string written(std::span<const NamedTensor> tensors,
                    const std::map<std::string, std::string>& metadata = {},
                    SafetensorsOptions options = {}) {
  std::string bytes;
  write_safetensors([&](std::string_view piece) { bytes += piece; }, tensors, metadata, options);
  return bytes;
}

SafetensorsFile opened(const std::string& bytes) {
  // Exactly as long as the bytes: a read past the end is seen by the sanitizer.
  auto copy = std::make_shared<const std::vector<char>>(bytes.begin(), bytes.end());
  const auto all = std::as_bytes(std::span(*copy));
  return {all, std::move(copy), "m.safetensors"};
}

std::string with_header(const std::string& header, std::size_t data_bytes) {
  std::string bytes(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(data_bytes, '\0');
}

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

std::string open_error(const std::string& header, std::size_t data_bytes) {
  return error_of([&] { opened(with_header(header, data_bytes)); });
}

Tensor f32(const std::vector<float>& values, const Shape& shape) {
  return Tensor::of(values, shape);
}

// Python's safetensors 0.8.0 reads this file with these values (tried by hand).
const std::vector<NamedTensor> kSmall = {{"w", f32({1, 2, 3, 4, 5, 6}, {2, 3})},
                                         {"层.b", f32({-0.5f}, {})},
                                         {"d", Tensor::of(std::vector<double>{0.1, 3}, {2, 1})},
                                         {"none", Tensor::zeros({0, 4})}};

// What safetensors 0.8.0 (Python) wrote for {"w": float32 [[1, 2, 3], [4, 5, 6]]}.
const std::string kPython =
    "@\0\0\0\0\0\0\0"
    R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}       )"
    "\0\0\x80?\0\0\0@\0\0@@\0\0\x80@\0\0\xa0@\0\0\xc0@"s;

TEST(Safetensors, WritesTheBytesOfTheFormat) {
  // The same as Python's, but padded to 64: 8 + 112 + 8 bytes more of spaces.
  std::string expected = kPython;
  expected[0] = 120;
  expected.insert(8 + 64, 56, ' ');
  EXPECT_EQ(written({{kSmall[0]}}, {}, {.checksum = false}), expected);
}

TEST(Safetensors, WritesMetadataFirstAndF64BeforeF32) {
  const std::string bytes = written(kSmall, {{"b", "2\n"}, {"a", "\"1\""}});
  EXPECT_EQ(bytes.substr(8, bytes.find("}}") + 2 - 8),
            R"({"__metadata__":{"a":"\"1\"","b":"2\n","qkv.crc32":"f8b4b73d",)"
            R"("qkv.header.crc32":"f82b711d"},)"
            R"("d":{"dtype":"F64","shape":[2,1],"data_offsets":[0,16]},)"
            R"("w":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]},)"
            R"("层.b":{"dtype":"F32","shape":[],"data_offsets":[40,44]},)"
            R"("none":{"dtype":"F32","shape":[0,4],"data_offsets":[44,44]}})");
}

TEST(Safetensors, VerifiesItsHeader) {
  const std::string whole = written(kSmall, {{"note", "\"qkv.header.crc32\":\"00000000\""}});
  EXPECT_TRUE(opened(whole).verify_header());
  EXPECT_FALSE(opened(written(kSmall, {}, {.checksum = false})).verify_header());
  std::string swapped = whole;  // two names exchanged: all else fits
  swapped[whole.find("\"d\":{") + 1] = 'w';
  swapped[whole.find("\"w\":{") + 1] = 'd';
  EXPECT_THROW(opened(swapped).verify_header(), DataError);
  const std::size_t end = whole.find("}}") + 2;
  for (std::size_t at = 8; at < end; ++at) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    try {
      EXPECT_FALSE(opened(bad).verify_header()) << at;  // the key itself is gone
    } catch (const DataError&) {
    }
  }
}

TEST(Safetensors, KnowsTheChecksumOfTheWholeFile) {
  for (const bool own : {true, false}) {
    const std::string bytes = written(kSmall, {}, {.checksum = own});
    EXPECT_EQ(opened(bytes).checksum(), checksum(bytes));
    EXPECT_EQ(opened(bytes).bytes(), bytes.size());
  }
}

TEST(Safetensors, NarrowsDoublesWhereTheyFit) {
  const SafetensorsFile file =
      opened(written({{{"d", Tensor::of(std::vector<double>{0.1, -2, 1e300}, {3})},
                       {"e", Tensor::of(std::vector<double>{0.1, -2}, {2})}}}));
  const Tensor narrow = file.float_tensor("e");
  EXPECT_EQ(narrow.dtype(), DType::f32);
  EXPECT_EQ(narrow.data()[0], 0.1F);
  EXPECT_EQ(narrow.data()[1], -2.0F);
  EXPECT_THROW((void)file.float_tensor("d"), DataError);
}

TEST(Safetensors, WritesAnEmptyModel) {
  const std::string bytes = written({}, {}, {.checksum = false});
  EXPECT_EQ(bytes.size(), 64u);
  EXPECT_TRUE(opened(bytes).names().empty());
  EXPECT_TRUE(opened(with_header("{}", 0)).names().empty());
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  const Temporary folder;
  const auto path = folder / "m.safetensors";
  save_safetensors(path, kSmall, {{"layout", "in,out"}});
  const SafetensorsFile file(path);
  EXPECT_THAT(file.names(), ElementsAre("d", "w", "层.b", "none"));
  EXPECT_EQ(file.metadata().at("layout"), "in,out");
  EXPECT_TRUE(file.contains("w"));
  EXPECT_FALSE(file.contains("v"));
  EXPECT_EQ(file.shape("w"), (Shape{2, 3}));
  EXPECT_EQ(file.dtype("d"), "F64");
  EXPECT_THAT(file.tensor("w").values(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(file.tensor("d").values<double>(), ElementsAre(0.1, 3));
  EXPECT_EQ(file.tensor("层.b").item(), -0.5);
  EXPECT_EQ(file.tensor("none").shape(), (Shape{0, 4}));
  EXPECT_TRUE(file.tensor("none").defined());
  EXPECT_TRUE(file.verify());
  EXPECT_NO_THROW(file.check_finite());
}

TEST(Safetensors, BorrowsTheMapAndKeepsItAlive) {
  const Temporary folder;
  const auto path = folder / "m.safetensors";
  save_safetensors(path, {{kSmall[0]}});
  Tensor borrowed, copy;
  {
    const SafetensorsFile file(path);
    borrowed = file.tensor("w");
    EXPECT_EQ(borrowed.data(), file.tensor("w").data());  // zero-copy
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(borrowed.data()) % 64, 0u);
    copy = file.tensor_copy("w");
    EXPECT_NE(copy.data(), borrowed.data());
  }
  // Saving over an open file leaves the open one as it was.
  save_safetensors(path, {{{"w", f32({9}, {1})}}});
  EXPECT_THAT(borrowed.values(), ElementsAre(1, 2, 3, 4, 5, 6));
  copy.data()[0] = 7;
  EXPECT_THAT(copy.values(), ElementsAre(7, 2, 3, 4, 5, 6));
  EXPECT_EQ(SafetensorsFile(path).tensor("w").item(), 9);
}

TEST(Safetensors, ReadsWhatPythonWrote) {
  EXPECT_THAT(opened(kPython).tensor("w").values(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_FALSE(opened(kPython).verify());
  // safetensors 0.8.0: {"b": f32, "a": f16 [1, 2], "n": int64, "d": f64, "é": f32 scalar}.
  const SafetensorsFile file = opened(
      "8\x01\0\0\0\0\0\0"
      R"({"__metadata__":{"format":"pt"},"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
      R"("d":{"dtype":"F64","shape":[2,1],"data_offsets":[8,24]},)"
      R"("b":{"dtype":"F32","shape":[1,3],"data_offsets":[24,36]},)"
      R"("é":{"dtype":"F32","shape":[],"data_offsets":[36,40]},)"
      R"("a":{"dtype":"F16","shape":[2],"data_offsets":[40,44]}}    )"
      "\x07\0\0\0\0\0\0\0\x9a\x99\x99\x99\x99\x99\xb9?\0\0\0\0\0\0\x08@"
      "\0\0\xc0?\0\0\0\xc0\0\0\x80>\0\0 @\0<\0@"s);
  EXPECT_THAT(file.names(), ElementsAre("n", "d", "b", "é", "a"));
  EXPECT_THAT(file.tensor("a").values(), ElementsAre(1, 2));
  EXPECT_THAT(file.tensor("b").values(), ElementsAre(1.5f, -2.0f, 0.25f));
  EXPECT_THAT(file.tensor("d").values<double>(), ElementsAre(0.1, 3));
  EXPECT_EQ(file.tensor("é").item(), 2.5);
  EXPECT_THAT(error_of([&] { (void)file.tensor("n"); }),
              HasSubstr("tensor 'n': is I64 (byte 320)"));
}

TEST(Safetensors, WidensEveryHalfAndBfloat) {
  std::string numbers;
  for (int i = 0; i < 65536; ++i) {
    numbers += static_cast<char>(i & 255);
    numbers += static_cast<char>(i >> 8);
  }
  const std::string header =
      R"({"h":{"dtype":"F16","shape":[65536],"data_offsets":[0,131072]},)"
      R"("b":{"dtype":"BF16","shape":[256,256],"data_offsets":[131072,262144]}})";
  const SafetensorsFile file = opened(with_header(header, 0) + numbers + numbers);
  const Tensor half = file.tensor("h"), bfloat = file.tensor("b");
  for (int i = 0; i < 65536; ++i) {
    const int exponent = (i >> 10) & 31, fraction = i & 1023;
    float expected = std::ldexp(static_cast<float>(exponent ? fraction + 1024 : fraction),
                                std::max(exponent, 1) - 25);
    if (exponent == 31) {
      expected = fraction ? std::numeric_limits<float>::quiet_NaN()
                          : std::numeric_limits<float>::infinity();
    }
    const float got = half.data()[i];
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(got)) << i;
    } else {
      ASSERT_EQ(got, i & 0x8000 ? -expected : expected) << i;
    }
    ASSERT_EQ(std::signbit(got), (i & 0x8000) != 0) << i;
    const auto bits = static_cast<std::uint32_t>(i) << 16;
    ASSERT_EQ(std::memcmp(&bits, &bfloat.data()[i], 4), 0) << i;
  }
}

TEST(Safetensors, CopiesWhatIsNotAligned) {
  const std::string header = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  for (std::size_t pad = 0; pad < 4; ++pad) {
    const std::string bytes =
        with_header(header + std::string(pad, ' '), 0) + kPython.substr(72, 8);
    EXPECT_THAT(opened(bytes).tensor("w").values(), ElementsAre(1, 2)) << pad;
  }
}

TEST(Safetensors, RefusesToWriteWhatNobodyCouldRead) {
  const Tensor t = f32({1}, {1});
  EXPECT_THROW(written({{{"a", t}, {"a", t}}}), Error);
  EXPECT_THROW(written({{{"", t}}}), Error);
  EXPECT_THROW(written({{{"__metadata__", t}}}), Error);
  EXPECT_THROW(written({{{"a\nb", t}}}), Error);
  EXPECT_THROW(written({{{"\xff", t}}}), Error);
  EXPECT_THROW(written({{{"a", Tensor()}}}), Error);
  EXPECT_THROW(written({{{"a", t}}}, {{"k", "\xff"}}), Error);
}

TEST(Safetensors, ReplacesTheChecksumOfCopiedMetadata) {
  const std::string bytes = written(kSmall, {{"qkv.crc32", "00000000"}});
  EXPECT_TRUE(opened(bytes).verify());
  EXPECT_FALSE(opened(written(kSmall, {{"qkv.crc32", "0"}}, {.checksum = false})).verify());
}

TEST(Safetensors, FindsEveryChangedNumber) {
  const std::string bytes = written(kSmall);
  const std::size_t data = bytes.size() - 44;
  for (std::size_t i = data; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 4);
    EXPECT_THAT(error_of([&] { (void)opened(changed).verify(); }), HasSubstr("is damaged")) << i;
  }
}

TEST(Safetensors, NamesTheFirstNumberThatIsNotFinite) {
  Tensor t = Tensor::zeros({3, 2000});
  EXPECT_NO_THROW(opened(written({{{"t", t}}})).check_finite());
  t.data()[5000] = std::numeric_limits<float>::quiet_NaN();
  t.data()[5001] = std::numeric_limits<float>::infinity();
  const std::string bytes = written({{{"ok", f32({3e38f}, {1})}, {"t", t}}});
  const auto byte = bytes.size() - 4 * 1000;
  EXPECT_THAT(error_of([&] { opened(bytes).check_finite(); }),
              HasSubstr(fmt::format("tensor 't': is NaN at index [2, 1000] (byte {})", byte)));
  const auto d = Tensor::of(std::vector<double>{1e300, -HUGE_VAL}, {2});
  EXPECT_THAT(error_of([&] {
                opened(written({{{"d", d}}})).check_finite();
              }),
              HasSubstr("tensor 'd': is infinite at index [1]"));
  const auto last_of_two = [](std::string_view type, const std::string& number) {
    const auto header =
        fmt::format(R"({{"h":{{"dtype":"{}","shape":[2],"data_offsets":[0,4]}}}})", type);
    return error_of([&] { opened(with_header(header, 2) + number).check_finite(); });
  };
  EXPECT_THAT(last_of_two("F16", "\x00\x7c"s), HasSubstr("'h': is infinite at index [1]"));
  EXPECT_THAT(last_of_two("BF16", "\x80\xff"s), HasSubstr("'h': is infinite at index [1]"));
  EXPECT_THAT(last_of_two("F16", "\x01\xfc"s), HasSubstr("'h': is NaN at index [1]"));
  EXPECT_EQ(last_of_two("F16", "\xff\x7b"s), "no DataError");
  EXPECT_EQ(last_of_two("BF16", "\x00\x7c"s), "no DataError");
  EXPECT_EQ(last_of_two("U16", "\xff\xff"s), "no DataError");
}

TEST(Safetensors, ManyNumbersAreCheckedInPiecesAsOne) {
  Tensor t = Tensor::zeros({3, 1 << 20});
  for (std::int64_t i = 0; i < t.count(); ++i) t.data()[i] = static_cast<float>(i % 977);
  const Temporary folder;
  const auto path = folder / "m.safetensors";
  save_safetensors(path, {{{"t", t}}});
  EXPECT_TRUE(SafetensorsFile(path).verify());
  EXPECT_EQ(SafetensorsFile(path).checksum(), file_checksum(path));
  std::string bytes = read_file(path);
  bytes[bytes.size() - 5] ^= 1;
  EXPECT_THAT(error_of([&] { (void)opened(bytes).verify(); }), HasSubstr("have checksum"));
  t.data()[(2 << 20) + 7] = t.data()[(1 << 20) + 5] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(error_of([&] {
                opened(written({{{"t", t}}})).check_finite();
              }),
              HasSubstr("'t': is infinite at index [1, 5]"));
}

TEST(Safetensors, NamesAMissingTensor) {
  EXPECT_THAT(error_of([] { (void)opened(written(kSmall)).shape("v"); }),
              HasSubstr("m.safetensors: has no tensor 'v' among its 4"));
}

TEST(SafetensorsDamage, EveryTruncationIsAnError) {
  const std::string bytes = written(kSmall, {{"a", "b"}});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(opened(bytes.substr(0, size)), DataError) << size;
  }
  EXPECT_THROW(opened(bytes + '\0'), DataError);
  const std::string message = error_of([&] { opened(bytes.substr(0, bytes.size() - 1)); });
  EXPECT_THAT(message, HasSubstr("tensor '层.b': ends at byte"));
  EXPECT_THAT(message, HasSubstr("it was cut short, copy or download it again"));
}

TEST(SafetensorsDamage, EveryTruncationOnDiskIsAnError) {
  const Temporary folder;
  const auto path = folder / "m.safetensors";
  const std::string bytes = written({{kSmall[0]}});
  for (std::size_t size = 0; size < bytes.size(); size += size < 16 ? 1 : 13) {
    write_file(path, std::string_view(bytes).substr(0, size));
    EXPECT_THROW(SafetensorsFile{path}, DataError) << size;
  }
}

TEST(SafetensorsDamage, EveryFlippedBitOfTheHeaderIsAnErrorOrReadable) {
  const std::string bytes = written(kSmall, {{"a", "b"}});
  int refused = 0;
  for (std::size_t i = 0; i < bytes.size() - 44; ++i) {
    for (int bit = 0; bit < 9; ++bit) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (bit < 8 ? 1 << bit : 255));
      try {
        const SafetensorsFile file = opened(changed);
        for (const std::string& name : file.names()) (void)file.tensor(name);
        (void)file.verify();
      } catch (const DataError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 1000);  // what passes changed a name, a metadata text or a size of "none"
}

TEST(SafetensorsDamage, SaysWhatIsWrongWithTheHeader) {
  const auto length = [](std::uint64_t n) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &n, sizeof n);
    return error_of([&] { opened(bytes + "{}"); });
  };
  EXPECT_THAT(error_of([] { opened(""); }), HasSubstr("has 0 bytes"));
  EXPECT_THAT(length(std::uint64_t{1} << 63), HasSubstr("9223372036854775808 bytes long (byte 0)"));
  EXPECT_THAT(length(~std::uint64_t{0}), HasSubstr("not a safetensors file"));
  EXPECT_THAT(length(3), HasSubstr("the header ends at byte 11, the file has 10"));
  EXPECT_THAT(length(0), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(open_error("[]", 0), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(open_error("{\"a\":", 0), HasSubstr("no JSON at byte"));
  EXPECT_THAT(open_error("{} {}", 0), HasSubstr("no JSON at byte 11"));
  EXPECT_THAT(open_error("{\"\xff\":1}", 0), HasSubstr("no JSON at byte 10"));
  EXPECT_THAT(open_error("{" + std::string(1000000, '['), 0), HasSubstr("no JSON"));
  EXPECT_THAT(open_error("{\"a\":" + std::string(1000000, '['), 0), HasSubstr("an array"));
  EXPECT_THAT(open_error(R"({"a":7})", 0), HasSubstr("tensor 'a': did not expect 7"));
  EXPECT_THAT(open_error(R"({"__metadata__":{"k":1}})", 0), HasSubstr("'k': did not expect 1"));
  EXPECT_THAT(open_error(R"({"__metadata__":{},"__metadata__":{}})", 0), HasSubstr("given twice"));
}

TEST(SafetensorsDamage, SaysWhatIsWrongWithATensor) {
  // `fields` of a tensor in a file with 24 bytes of numbers.
  const auto error = [](const std::string& fields) {
    return open_error("{\"w\":{" + fields + "}}", 24);
  };
  const std::string type = R"("dtype":"F32")", shape = R"("shape":[2,3])",
                    offsets = R"("data_offsets":[0,24])";
  EXPECT_EQ(error(type + "," + shape + "," + offsets), "no DataError");
  EXPECT_THAT(error(type + "," + shape), HasSubstr("tensor 'w': has no data_offsets"));
  EXPECT_THAT(error(shape + "," + offsets), HasSubstr("tensor 'w': has no dtype"));
  EXPECT_THAT(error(type + "," + offsets), HasSubstr("tensor 'w': has no shape"));
  EXPECT_THAT(error(type + "," + shape + "," + offsets + "," + type), HasSubstr("dtype is given"));
  EXPECT_THAT(error(type + R"(,"color":1)"), HasSubstr("unknown field 'color'"));
  EXPECT_THAT(error(R"("dtype":"Q4",)" + shape + "," + offsets), HasSubstr("unknown type 'Q4'"));
  EXPECT_THAT(error(R"("dtype":["F32"])"), HasSubstr("did not expect an array"));
  EXPECT_THAT(error(type + R"(,"shape":[[2],3])"), HasSubstr("did not expect an array"));
  EXPECT_THAT(error(type + R"(,"shape":[-2,3],)" + offsets), HasSubstr("did not expect -2"));
  EXPECT_THAT(error(type + R"(,"shape":[2.0,3],)" + offsets), HasSubstr("did not expect '2.0'"));
  EXPECT_THAT(error(type + R"(,"shape":[1e999],)" + offsets), HasSubstr("no JSON at byte"));
  EXPECT_THAT(error(type + R"(,"shape":[1,1,1,1,2,3],)" + offsets), HasSubstr("more than 5 axes"));
  EXPECT_THAT(error(type + R"(,"shape":[18446744073709551615],)" + offsets),
              HasSubstr("is too large"));
  EXPECT_THAT(error(type + R"(,"shape":[4294967296,4294967296],)" + offsets),
              HasSubstr("tensor 'w': the shape [4294967296, 4294967296] is impossibly large"));
  EXPECT_THAT(error(type + R"(,"shape":[0,4294967296,4294967296],)" + offsets),
              HasSubstr("impossibly large"));
  EXPECT_THAT(error(type + R"(,"shape":[2,4],)" + offsets),
              HasSubstr("the shape [2, 4] in F32 takes 32 bytes, the file gives it 24 (byte "));
  EXPECT_THAT(error(type + "," + shape + R"(,"data_offsets":[24,0])"), HasSubstr("ends at 0"));
  EXPECT_THAT(error(type + "," + shape + R"(,"data_offsets":[0])"), HasSubstr("has not two"));
  EXPECT_THAT(error(type + "," + shape + R"(,"data_offsets":[0,24,24])"),
              HasSubstr("more than two"));
  EXPECT_THAT(
      error(type + R"(,"shape":[],"data_offsets":[9223372036854775803,9223372036854775807])"),
      HasSubstr("leaves a gap"));
  EXPECT_THAT(error(type + R"(,"shape":[5],"data_offsets":[4,24])"), HasSubstr("a gap of 4 bytes"));
  EXPECT_THAT(error(type + R"(,"shape":[5],"data_offsets":[0,20])"),
              HasSubstr("has 4 bytes after"));
}

TEST(SafetensorsDamage, SaysWhichTensorsOverlapOrLeaveAGap) {
  const auto error = [](std::string_view second) {
    return open_error(fmt::format(R"({{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},)"
                                  R"("b":{{"dtype":"F32","shape":[2],"data_offsets":[{}]}}}})",
                                  second),
                      16);
  };
  EXPECT_EQ(error("8,16"), "no DataError");
  EXPECT_THAT(error("4,12"), HasSubstr("tensor 'b': overlaps tensor 'a'"));
  EXPECT_THAT(error("0,8"), HasSubstr("tensor 'b': overlaps tensor 'a'"));
  EXPECT_THAT(error("12,20"), HasSubstr("tensor 'b': leaves a gap of 4 bytes"));
  EXPECT_THAT(open_error(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                         R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                         0),
              HasSubstr("tensor 'a': is given twice"));
  EXPECT_THAT(open_error(R"({"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0),
              HasSubstr("has no name"));
  EXPECT_THAT(open_error(R"({"a\u0000":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0),
              HasSubstr("tensor 'a?': its name is not printable"));
}

TEST(SafetensorsDamage, LongNamesStayShortInMessages) {
  const std::string message = open_error("{\"" + std::string(100000, 'x') + "\":1}", 0);
  EXPECT_LT(message.size(), 250u);
}

TEST(SafetensorsDamage, MissingFileAndDirectory) {
  const Temporary folder;
  EXPECT_THROW(SafetensorsFile{folder / "none"}, FileError);
  EXPECT_THROW(SafetensorsFile{folder.path()}, FileError);
  EXPECT_THROW(save_safetensors(folder / "no" / "m", kSmall), FileError);
}

}  // namespace
}  // namespace qkv
