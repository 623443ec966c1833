// What a process pays once before its first product.
#pragma once

#include <thread>

namespace qkv {

/// Has oneDNN make the machine code of its products while the caller does something else: some
/// 20 ms of a thread of its own, once a process, of which the first product otherwise waits. Where
/// one thread is all that qkv may use, or no other can be had, the first product does it as ever.
class ProductsBeside {
 public:
  ProductsBeside();
  ProductsBeside(const ProductsBeside&) = delete;
  ProductsBeside& operator=(const ProductsBeside&) = delete;
  ~ProductsBeside() = default;  // waits for the thread

 private:
  std::jthread thread_;
};

}  // namespace qkv
