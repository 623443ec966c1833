# `cmake --install`: library, headers, program, and a package for find_package(qkv).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(QKV_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/qkv)

install(TARGETS qkv EXPORT qkvTargets)
install(DIRECTORY qkv/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/qkv FILES_MATCHING PATTERN "*.h")
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
