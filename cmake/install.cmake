# `cmake --install`: the library, the headers that qkv/qkv.h promises, the program, and what lets
# others find them: find_package(qkv) and pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(QKV_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/qkv)

# qkv/qkv.h and all that it includes of ours, in QKV_PUBLIC_HEADERS.
set(QKV_PUBLIC_HEADERS)
set(waiting qkv/qkv.h)
while(waiting)
  list(POP_FRONT waiting header)
  if(header IN_LIST QKV_PUBLIC_HEADERS)
    continue()
  endif()
  list(APPEND QKV_PUBLIC_HEADERS ${header})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${header})
  file(STRINGS ${PROJECT_SOURCE_DIR}/${header} includes REGEX "^#include \"qkv/")
  foreach(line IN LISTS includes)
    string(REGEX REPLACE "^#include \"([^\"]+)\".*" "\\1" path "${line}")
    list(APPEND waiting ${path})
  endforeach()
endwhile()
foreach(header IN LISTS QKV_PUBLIC_HEADERS)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/${folder})
endforeach()

install(TARGETS qkv EXPORT qkvTargets)
if(TARGET qkv_app)
  install(TARGETS qkv_app)
endif()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT qkvTargets NAMESPACE qkv:: DESTINATION ${QKV_PACKAGE_DIR})
configure_package_config_file(cmake/qkvConfig.cmake.in ${PROJECT_BINARY_DIR}/qkvConfig.cmake
                              INSTALL_DESTINATION ${QKV_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/qkvConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/qkvConfig.cmake ${PROJECT_BINARY_DIR}/qkvConfigVersion.cmake
        DESTINATION ${QKV_PACKAGE_DIR})
# The folder of the file itself is the way to the prefix, so that an installation may be moved.
file(RELATIVE_PATH QKV_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/qkv.pc.in ${PROJECT_BINARY_DIR}/qkv.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/qkv.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
