// What the library would like somebody to know although the work goes on: lines passed over, a
// guess about a file. Nothing is printed: a program sets a sink, as the command line does.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace qkv {

/// Takes one line without its end, "train.conll: 30 comments passed over".
using NoticeSink = std::function<void(std::string_view)>;

/// Sets the sink of the whole process and gives back the one before; an empty function (the
/// default) means that nobody looks. Calls of the sink never overlap.
NoticeSink set_notice_sink(NoticeSink sink);

/// Gives a line to the sink, if there is one.
void notice(std::string_view line);

}  // namespace qkv
