# attn_embed(TARGET SYMBOL FILE): FILE's bytes become read-only data in TARGET, between the C symbols
# SYMBOL and SYMBOL_end. The assembler copies them, so even megabytes cost no compile time.
enable_language(ASM)

function(attn_embed target symbol file)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.S)
  file(CONFIGURE OUTPUT ${source} CONTENT [[
  .section .rodata
  .global @symbol@
  .global @symbol@_end
  .balign 64
@symbol@:
  .incbin "@file@"
@symbol@_end:
  .byte 0
  .section .note.GNU-stack,"",%progbits
]] @ONLY)
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${file})
  target_sources(${target} PRIVATE ${source})
endfunction()
