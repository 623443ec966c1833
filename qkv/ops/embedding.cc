#include "qkv/ops/embedding.h"

#include <memory>
#include <vector>

#include "qkv/base/dims.h"
#include "qkv/kernels/embedding.h"
#include "qkv/ops/dispatch.h"

namespace qkv {
namespace {

void check_rows(const char* what, std::span<const std::int32_t> ids, std::int64_t rows,
                std::int32_t least = 0) {
  for (std::size_t t = 0; t < ids.size(); ++t) {
    if (ids[t] < least || ids[t] >= rows) {
      fail<ShapeError>("embed: {} {} at row {} is outside a table of {} rows", what, ids[t], t,
                       rows);
    }
  }
}

}  // namespace

Tensor embed(std::span<const std::int32_t> ids, const Tensor& table, const TableOptions& options,
             const Tensor& positions, std::span<const std::int32_t> position) {
  const Dims d("embed", {{"table", table.shape(), "V C"}});
  check_types("embed", table, {&positions});
  check_rows("id", ids, d["V"], options.zero_rows ? -1 : 0);
  if (positions.defined()) {
    const Dims p("embed",
                 {{"table", table.shape(), "V C"}, {"positions", positions.shape(), "P C"}});
    if (position.size() != ids.size()) {
      fail<ShapeError>("embed: {} ids but {} positions", ids.size(), position.size());
    }
    check_rows("position", position, p["P"]);
  }
  struct Rows {
    std::vector<std::int32_t> ids, position;
  };
  const auto rows = std::make_shared<Rows>();
  rows->ids.assign(ids.begin(), ids.end());
  if (positions.defined()) rows->position.assign(position.begin(), position.end());
  const Dropout drop = draw_dropout(options.dropout);
  const auto count = static_cast<std::int64_t>(ids.size());
  const double scale = options.scale;

  Tensor y = Tensor::empty({count, d["C"]}, table.dtype());
  dispatch(table, [&](auto zero) {
    using T = decltype(zero);
    kernels::EmbedForward<T> a{};
    a.rows = count;
    a.cols = y.dim(1);
    a.ids = rows->ids.data();
    a.table = table.data<T>();
    a.scale = static_cast<T>(scale);
    a.positions = data_or_null<T>(positions);
    a.position = positions.defined() ? rows->position.data() : nullptr;
    a.dropout = drop;
    a.out = y.data<T>();
    kernels_for<T>().embed(a);
  });
  record(y, {&table, &positions}, [table, positions, rows, drop, scale](const Tensor& dy) {
    dispatch(dy, [&](auto zero) {
      using T = decltype(zero);
      kernels::EmbedBackward<T> a{};
      a.rows = dy.dim(0);
      a.cols = dy.dim(1);
      a.vocabulary = table.dim(0);
      a.ids = rows->ids.data();
      a.scale = static_cast<T>(scale);
      a.dropout = drop;
      a.dout = dy.data<T>();
      Tensor dtable, dpositions;
      if (needs_gradient(table)) {
        dtable = gradient_sum(table);
        a.dtable = dtable.data<T>();
      }
      if (positions.defined() && needs_gradient(positions)) {
        dpositions = gradient_sum(positions);
        a.dpositions = dpositions.data<T>();
        a.position = rows->position.data();
      }
      kernels_for<T>().embed_backward(a);
    });
  });
  return y;
}

}  // namespace qkv
