# The ISA table: a row is a level, its compiler flags, and then every *_simd.cpp exists once more.
set(ATTN_ISA_LEVELS avx2 avx512)
set(ATTN_ISA_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(ATTN_ISA_avx512 -mavx2 -mfma -mf16c -mbmi2 -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl
  -mprefer-vector-width=512)
# Not a level but avx512 where the CPU has dot products as well: of the sources, *_dot_simd.cpp alone.
set(ATTN_ISA_avx512_dot ${ATTN_ISA_avx512} -mavx512vnni -mavx512bf16)

# The level amx runs avx512's versions but for *_amx.cpp.
set(ATTN_ISA_amx ${ATTN_ISA_avx512_dot} -mamx-tile -mamx-bf16)

# attn_isa_objects(TARGET): compiles every *_simd.cpp below the current folder once per level, into
# TARGET.
function(attn_isa_objects target)
  find_path(XSIMD_INCLUDE_DIR xsimd/xsimd.hpp REQUIRED)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_simd.cpp)
  set(dot_sources ${sources})
  list(FILTER dot_sources INCLUDE REGEX "_dot_simd\\.cpp$")
  set(versions ${ATTN_ISA_LEVELS})
  if(dot_sources)
    list(APPEND versions avx512_dot)
  endif()
  file(GLOB_RECURSE amx_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_amx.cpp)
  if(amx_sources)
    list(APPEND versions amx)
  endif()
  foreach(isa IN LISTS versions)
    set(objects ${target}_${isa})
    if(isa STREQUAL avx512_dot)
      add_library(${objects} OBJECT ${dot_sources})
      target_compile_definitions(${objects} PRIVATE ATTN_ISA_avx512 ATTN_ISA_dot)
    elseif(isa STREQUAL amx)
      add_library(${objects} OBJECT ${amx_sources})
    else()
      add_library(${objects} OBJECT ${sources})
    endif()
    target_link_libraries(${objects} PRIVATE attn_flags)
    target_include_directories(${objects} SYSTEM PRIVATE ${XSIMD_INCLUDE_DIR})
    target_compile_definitions(${objects} PRIVATE ATTN_ISA_NS=${isa} ATTN_ISA_${isa})
    # GCC 12's AVX-512 headers read a deliberately undefined register (GCC bug 105593)
    target_compile_options(${objects} PRIVATE ${ATTN_ISA_${isa}} -Wno-maybe-uninitialized -Wno-uninitialized)
    if(ATTN_FUZZ)
      # fuzzing runs at the level scalar: these only have to link, and compile in a fifth of the time
      target_compile_options(${objects} PRIVATE -O0 -fno-sanitize=all)
    endif()
    if(CMAKE_CXX_CLANG_TIDY)
      # following the paths through unrolled intrinsics takes half of a lint and finds nothing there
      set_property(TARGET ${objects} PROPERTY CXX_CLANG_TIDY ${CMAKE_CXX_CLANG_TIDY} --checks=-clang-analyzer-*)
    endif()
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
    set_property(TARGET ${target} APPEND PROPERTY ATTN_ISA_OBJECTS ${objects})
  endforeach()
endfunction()
