# rkepatch completion for fish
function __rkepatch_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete fish "=$current" $words[2..-1] 2>/dev/null)
        switch $line
            case ':files*'
                __fish_complete_path $current
            case ':nospace*'
            case '*'
                echo $line
        end
    end
end
complete -c rkepatch -f -a '(__rkepatch_complete)'
