# Tests about the source tree and the installation rather than about the code.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND)
  add_test(NAME layers COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tools/check_layers)
  add_test(NAME links COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tools/check_links)
  add_test(NAME layers_rule
           COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tests/tools/check_layers_test.py)
  set_tests_properties(layers links layers_rule PROPERTIES LABELS fast TIMEOUT 60)
endif()

# A stranger's project: install into the build directory, find_package(qkv), build and run.
# A sanitized library would need the same flags over there, so those builds skip it.
if(NOT QKV_SANITIZE)
  set(consumer ${PROJECT_BINARY_DIR}/consumer)
  add_test(NAME install COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR}
                                                 --prefix ${consumer}/prefix)
  add_test(NAME consumer
           COMMAND ${CMAKE_CTEST_COMMAND}
                   --build-and-test ${PROJECT_SOURCE_DIR}/tests/consumer ${consumer}/build
                   --build-generator ${CMAKE_GENERATOR}
                   --build-options -DCMAKE_PREFIX_PATH=${consumer}/prefix
                                   -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
                                   -DCMAKE_BUILD_TYPE=Release
                   --test-command consumer)
  # The twenty-line programs as a user builds them, once through CMake and once through pkg-config.
  add_test(NAME systems_cmake
           COMMAND ${CMAKE_CTEST_COMMAND}
                   --build-and-test ${PROJECT_SOURCE_DIR}/examples/systems ${consumer}/systems
                   --build-generator ${CMAKE_GENERATOR}
                   --build-options -DCMAKE_PREFIX_PATH=${consumer}/prefix
                                   -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER})
  add_test(NAME systems_pkgconfig
           COMMAND sh ${PROJECT_SOURCE_DIR}/tests/consumer/pkgconfig.sh ${consumer}/prefix
                   ${CMAKE_CXX_COMPILER} ${consumer}/pkgconfig)
  set_tests_properties(install PROPERTIES FIXTURES_SETUP installed)
  set(QKV_INSTALL_TESTS consumer systems_cmake systems_pkgconfig)
  set_tests_properties(${QKV_INSTALL_TESTS} PROPERTIES FIXTURES_REQUIRED installed)
  set_tests_properties(install ${QKV_INSTALL_TESTS} PROPERTIES LABELS install TIMEOUT 300)
endif()
