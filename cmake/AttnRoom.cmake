# The flags every room is compiled with, and the one function that makes a room.

add_library(attn_flags INTERFACE)
target_include_directories(attn_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
string(FIND "${CMAKE_CXX_FLAGS}" "-fsanitize" ATTN_SANITIZED)
if(ATTN_SANITIZED LESS 0)
  set(ATTN_SANITIZED OFF)
else()
  set(ATTN_SANITIZED ON)
endif()

target_compile_options(attn_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual>
  # a*b+c is fused only where the source says so: otherwise the bits of a row would depend on how
  # the optimiser unrolled the loop that it stands in
  -ffp-contract=off
  # GCC 12 sees an overlap in "literal" + std::string&& that cannot be (GCC bug 105651)
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>
  # with sanitizers GCC 12 loses track of initialisation inside <regex> and <functional>
  $<$<BOOL:${ATTN_SANITIZED}>:-Wno-maybe-uninitialized>
  $<$<BOOL:${ATTN_WERROR}>:-Werror>)

# attn_room(NAME LINKS...): the room's target attn_NAME from the .cpp files below its folder.
function(attn_room name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "_(simd|amx)\\.cpp$")
  add_library(attn_${name} STATIC ${sources})
  target_compile_features(attn_${name} PUBLIC cxx_std_20)
  target_link_libraries(attn_${name} PUBLIC attn_flags ${ARGN})
endfunction()

# attn_needs(FILES...): libraries that whoever links libattn.a has to link as well. Threads go without saying.
function(attn_needs)
  set(files ${ARGN})
  list(FILTER files EXCLUDE REGEX "/libpthread\\.")
  set_property(GLOBAL APPEND PROPERTY ATTN_NEEDS ${files})
endfunction()
