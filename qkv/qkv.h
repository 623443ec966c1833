// The public face of qkv: what a program that uses the library includes, and all that is promised.
//
//   #include <qkv/qkv.h>
//   const auto t = qkv::Translator::load("en-de", {.threads = 2});
//   std::puts(t.translate("A dog runs.").text.c_str());
//
// Systems (what a user holds), attention as a part of one's own programs, and the errors that both
// throw. Other headers may change from one version to the next.
#pragma once

#include "qkv/attention/attend.h"
#include "qkv/attention/linear.h"
#include "qkv/attention/trace.h"
#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"
#include "qkv/base/parallel.h"
#include "qkv/systems/export/export.h"
#include "qkv/systems/nearest_texts.h"
#include "qkv/systems/open.h"
#include "qkv/systems/translator_chain.h"
#include "qkv/tensor/segments.h"
#include "qkv/tensor/tensor.h"
