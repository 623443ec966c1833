# Flags for our own sources only; users of the library inherit none of them.
add_library(qkv_options INTERFACE)
target_compile_options(qkv_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                       -Wold-style-cast -Wdouble-promotion -Wno-missing-field-initializers)
# A fused multiply-add must stand in the source: a compiler that forms its own would give other bits in
# the main loop than in its tail.
target_compile_options(qkv_options INTERFACE -ffp-contract=off)
# g++ 12 sees overlaps in std::string that are not there (GCC bug 105329).
target_compile_options(qkv_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
if(QKV_DEVELOPER)
  target_compile_options(qkv_options INTERFACE -Werror)
  target_compile_definitions(qkv_options INTERFACE _GLIBCXX_ASSERTIONS)
endif()
if(QKV_SANITIZE)
  add_compile_options(-fsanitize=${QKV_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${QKV_SANITIZE})
  # One instruction set, that of this machine: the loops of all are the same source
  # (qkv/kernels/targets.h), and a sanitized program goes nowhere else.
  add_compile_options(-march=native)
  add_compile_definitions(HWY_COMPILE_ONLY_STATIC)
  # A third of the compile time: what these would report the address sanitizer stops as well, and its
  # checks are calls.
  if(QKV_SANITIZE MATCHES "address.*undefined")
    add_compile_options(-fno-sanitize=null,alignment,object-size,pointer-overflow,vptr
                        "SHELL:-mllvm -asan-instrumentation-with-call-threshold=0")
  endif()
  # Optimised are the loops alone, and the built-in corpus: the rest spends its time in the compiler,
  # not in the tests.
  file(GLOB_RECURSE QKV_LOOPS CONFIGURE_DEPENDS qkv/kernels/*.cc demo/*.cc)
  set_source_files_properties(${QKV_LOOPS} PROPERTIES COMPILE_OPTIONS -O1 SKIP_PRECOMPILE_HEADERS ON)
endif()
if(QKV_BUILD_FUZZERS)
  # What is fuzzed are the readers: one instruction set for the loops here too.
  file(GLOB_RECURSE QKV_LOOPS CONFIGURE_DEPENDS qkv/kernels/*.cc)
  set_source_files_properties(${QKV_LOOPS} PROPERTIES COMPILE_OPTIONS
                              "-march=native;-DHWY_COMPILE_ONLY_STATIC" SKIP_PRECOMPILE_HEADERS ON)
endif()
