# Puts page.html, page.css, page.js and the troubleshooting page into one C array: cmake -DOUT=FILE
# -DHERE=FOLDER -DHELP=FILE -P assemble.cmake. Script and style are named by their hashes in the
# page's Content-Security-Policy, so that nothing else in the page can ever run.

cmake_minimum_required(VERSION 3.25)

# SHA-256 as CSP has it. CMake knows it in hex only: three hex digits are two of base64.
function(hash_of text out)
    set(alphabet ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
    string(SHA256 hex "${text}")
    string(APPEND hex 00)
    set(base64 "")
    foreach(at RANGE 0 63 3)
        string(SUBSTRING ${hex} ${at} 3 digits)
        math(EXPR high "0x${digits} >> 6")
        math(EXPR low "0x${digits} & 63")
        string(SUBSTRING ${alphabet} ${high} 1 first)
        string(SUBSTRING ${alphabet} ${low} 1 second)
        string(APPEND base64 ${first}${second})
    endforeach()
    string(REGEX REPLACE "A$" "=" base64 ${base64})
    set(${out} "'sha256-${base64}'" PARENT_SCOPE)
endfunction()

# What could end the element that it is put into, and what is not one byte a character, is refused.
function(read_part path out)
    file(READ ${path} text)
    string(TOLOWER "${text}" lower)
    if(lower MATCHES "</(script|style)|<!--")
        message(FATAL_ERROR "${path}: has \"${CMAKE_MATCH_0}\", which would end its element")
    endif()
    if(text MATCHES "[^\t\n -~]")
        message(FATAL_ERROR "${path}: has other characters than ASCII")
    endif()
    set(${out} "${text}" PARENT_SCOPE)
endfunction()

file(READ ${HERE}/page.html page)
read_part(${HERE}/page.css css)
read_part(${HERE}/page.js js)
read_part(${HELP} help)
hash_of("${css}" css_hash)
hash_of("${js}" js_hash)
string(CONCAT policy
    "default-src 'none'; script-src ${js_hash}; style-src ${css_hash}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'")

string(REPLACE "@POLICY@" "${policy}" page "${page}")
string(REPLACE "@CSS@" "${css}" page "${page}")
string(REPLACE "@HELP@" "${help}" page "${page}")
string(REPLACE "@JS@" "${js}" page "${page}")
string(FIND "${page}" "@DATA@" data_at)
string(REPLACE "@DATA@" "" page "${page}")
string(LENGTH "${page}" len_bytes)
string(HEX "${page}" hex)
string(REGEX REPLACE "(................................................)" "\\1\n" hex ${hex})
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," array "${hex}")
file(WRITE ${OUT} "#include \"page/page_source.h\"\n\n"
    "const unsigned char page_source[] = {\n${array}\n};\n"
    "const size_t page_source_len_bytes = ${len_bytes};\n"
    "const size_t page_source_data_at = ${data_at};\n"
    "const char page_source_policy[] = \"${policy}\";\n")
