#include "qkv/kernels/embedding.h"

#include "kernels/fixtures.h"

namespace qkv::kernels {
namespace {

constexpr std::int64_t kVocabulary = 11, kPositions = 9;

std::vector<std::int32_t> some_ids(std::int64_t n, std::int64_t below, std::uint64_t key) {
  Philox random(key);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
  for (auto& id : ids) {
    id = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(below)));
  }
  return ids;
}

TEST(Embed, FastFormIsTheDefinition) {
  on_every_target([] {
    for (std::int64_t cols : kSizes) {
      for (std::int64_t rows : {5, 300}) {
        if (rows > 5 && cols % 16 != 1) continue;
        for (bool with_positions : {false, true}) {
          SCOPED_TRACE(testing::Message() << rows << "×" << cols);
          const auto ids = some_ids(rows, kVocabulary, 1), at = some_ids(rows, kPositions, 2);
          const auto table = normals(kVocabulary * cols, 3), places = normals(kPositions * cols, 4);
          const auto dout = normals(rows * cols, 5);
          const auto start = normals(kVocabulary * cols, 6);
          const Dropout drop = Dropout::make(with_positions ? 0.3 : 0.0, key_of(5));
          const auto forward = [&](auto zero, const auto* t, const auto* p, auto* out) {
            EmbedForward<decltype(zero)> a{};
            a.rows = rows;
            a.cols = cols;
            a.ids = ids.data();
            a.table = t;
            a.scale = 3;
            a.positions = with_positions ? p : nullptr;
            a.position = with_positions ? at.data() : nullptr;
            a.dropout = drop;
            a.out = out;
            return a;
          };
          std::vector<double> want(dout.size());
          definition::embed(forward(0.0, table.data(), places.data(), want.data()));
          const Guarded<float> ft(table), fp(places, 2), fdout(dout, 3);
          Guarded<float> out(rows * cols);
          const auto got = for_any_threads([&] {
            embed(forward(0.0f, ft.data(), fp.data(), out.data()));
            return out.values();
          });
          EXPECT_TRUE(close(got, want, 1e-6));
          EXPECT_TRUE(out.intact());

          const auto backward = [&](auto zero, const auto* d, auto* dt, auto* dp) {
            EmbedBackward<decltype(zero)> a{};
            a.rows = rows;
            a.cols = cols;
            a.vocabulary = kVocabulary;
            a.ids = ids.data();
            a.scale = 3;
            a.position = with_positions ? at.data() : nullptr;
            a.dropout = drop;
            a.dout = d;
            a.dtable = dt;
            a.dpositions = with_positions ? dp : nullptr;
            return a;
          };
          auto want_table = start;
          std::vector<double> want_places(places.size());
          definition::embed_backward(
              backward(0.0, dout.data(), want_table.data(), want_places.data()));
          const auto got_grad = for_any_threads([&] {
            Guarded<float> dt(start), dp(kPositions * cols);
            embed_backward(backward(0.0f, fdout.data(), dt.data(), dp.data()));
            EXPECT_TRUE(dt.intact() && dp.intact());
            auto all = dt.values();
            append(all, dp.values());
            return all;
          });
          append(want_table, want_places);
          EXPECT_TRUE(close(got_grad, want_table, 1e-5));
        }
      }
    }
  });
}

TEST(Embed, GradientByDifferences) {
  const std::vector<std::int32_t> ids = {2, 0, 2, 1}, at = {0, 1, 2, 0};
  const auto table = normals(9, 1), places = normals(9, 2), w = normals(12, 3);
  const Dropout drop = Dropout::make(0.3, key_of(1));
  const auto loss = [&](const std::vector<double>& t, const std::vector<double>& p) {
    std::vector<double> out(12);
    EmbedForward<double> a{};
    a.rows = 4;
    a.cols = 3;
    a.ids = ids.data();
    a.table = t.data();
    a.scale = 1.5;
    a.positions = p.data();
    a.position = at.data();
    a.dropout = drop;
    a.out = out.data();
    definition::embed(a);
    return dot(out, w);
  };
  std::vector<double> dtable(9), dplaces(9);
  EmbedBackward<double> b{};
  b.rows = 4;
  b.cols = 3;
  b.vocabulary = 3;
  b.ids = ids.data();
  b.scale = 1.5;
  b.position = at.data();
  b.dropout = drop;
  b.dout = w.data();
  b.dtable = dtable.data();
  b.dpositions = dplaces.data();
  definition::embed_backward(b);
  check_gradient([&](const auto& t) { return loss(t, places); }, table, dtable, "table");
  check_gradient([&](const auto& p) { return loss(table, p); }, places, dplaces, "positions");
}

TEST(Embed, NothingForNoRows) {
  embed(EmbedForward<float>{});
  std::vector<float> dtable(4, 1.0f);
  EmbedBackward<float> b{};
  b.cols = 2;
  b.vocabulary = 2;
  b.dtable = dtable.data();
  embed_backward(b);
  EXPECT_EQ(dtable, std::vector<float>(4, 1.0f));
}

}  // namespace
}  // namespace qkv::kernels
