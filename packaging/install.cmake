# cmake --install, in components that are the Debian packages as well: lib, dev, tools, bench.
include(CMakePackageConfigHelpers)

set(cmake_folder ${CMAKE_INSTALL_LIBDIR}/cmake/attn)

install(TARGETS attn_shared EXPORT attnTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT lib NAMELINK_COMPONENT dev)
install(TARGETS attn_static EXPORT attnStaticTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/attn DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")

# CMake's package
set_target_properties(attn_shared PROPERTIES EXPORT_NAME attn)
set_target_properties(attn_static PROPERTIES EXPORT_NAME static)
install(EXPORT attnTargets NAMESPACE attn:: DESTINATION ${cmake_folder} COMPONENT dev)
install(EXPORT attnStaticTargets NAMESPACE attn:: DESTINATION ${cmake_folder} COMPONENT dev)
set(ATTN_NEEDS_NAMES)
set(ATTN_NEEDS_FLAGS)
foreach(file IN LISTS needs)
  cmake_path(GET file STEM name)
  string(REGEX REPLACE "^lib" "" name ${name})
  string(APPEND ATTN_NEEDS_NAMES "${name} ")
  string(APPEND ATTN_NEEDS_FLAGS "-l${name} ")
endforeach()
string(STRIP "${ATTN_NEEDS_NAMES}" ATTN_NEEDS_NAMES)
string(STRIP "${ATTN_NEEDS_FLAGS}" ATTN_NEEDS_FLAGS)
configure_package_config_file(attnConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/attnConfig.cmake
  INSTALL_DESTINATION ${cmake_folder})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/attnConfigVersion.cmake
  COMPATIBILITY ${ATTN_COMPATIBILITY})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/attnConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/attnConfigVersion.cmake
  DESTINATION ${cmake_folder} COMPONENT dev)

# pkg-config's; the prefix follows from where the file stands, so that the tree may be moved
file(RELATIVE_PATH ATTN_PREFIX_FROM_PC
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" ATTN_PREFIX_FROM_PC ${ATTN_PREFIX_FROM_PC})
configure_file(attn.pc.in attn.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/attn.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

# The tools; their manual pages are what --help prints, and so does completion ask the tool itself.
find_program(HELP2MAN help2man)
if(NOT HELP2MAN)
  message(STATUS "no help2man: the tools come without manual pages")
endif()

# install_tool(TOOL COMPONENT WHAT)
function(install_tool tool component what)
  if(NOT TARGET ${tool})
    return()
  endif()
  install(TARGETS ${tool} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${component})
  install(FILES completion.bash RENAME ${tool}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT ${component})
  if(HELP2MAN AND NOT CMAKE_CROSSCOMPILING)
    set(page ${CMAKE_CURRENT_BINARY_DIR}/${tool}.1)
    add_custom_command(OUTPUT ${page} DEPENDS ${tool} VERBATIM
      COMMAND ${HELP2MAN} --no-info --name=${what} --output=${page} $<TARGET_FILE:${tool}>)
    add_custom_target(${tool}-manual ALL DEPENDS ${page})
    install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT ${component})
  endif()
endfunction()

install_tool(attn-run tools "run attention models and see where they look")
install_tool(attn-tune tools "train attention models")
install_tool(attn-convert tools "pack a model into one file")
install_tool(attn-bench bench "measure models, kernels and the machine")

if(PROJECT_IS_TOP_LEVEL)
  include(debian.cmake)
endif()
